"""Gates on real trees with real test runs: what counts as red, green, proof, and what does not."""

import json

import pytest

from pipeline.core.evidence import FailureCause as Cause
from pipeline.gates import table
from pipeline.language.flow import GateName
from pipeline.prompts.brief import GATE_WORDS
from tests.helpers.trees import BASE, TARGET, Trees, trees

NEW = "from app.money import double\n\n\ndef test_double():\n    assert double(2) == 4\n"
DOUBLE = BASE["src/app/money.py"] + "\n\ndef double(a):\n    return 2 * a\n"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    with trees(tmp_path_factory.mktemp("gates")) as made:
        yield made


def judge(gate: GateName, context):
    return table.check(gate, context)


def red(work: Trees, **changes: str | None):
    return judge(GateName.RED, work.context(work.plus(**changes)))


def green(work: Trees, before: dict, **changes: str | None):
    found = red(work, **before)
    assert found.passed, found.detail
    tree = work.plus(**before, **changes)
    return judge(GateName.GREEN, work.context(tree, found)), tree, found


@pytest.mark.parametrize(
    ("test", "cause"),
    [
        (
            "from app.money import add\n\n\ndef test_it():\n    assert add(1, 1) == 3\n",
            Cause.ASSERTION,
        ),
        ("import app.money\n\n\ndef test_it():\n    app.money.double(2)\n", Cause.MISSING_NAME),
        ("def test_it():\n    from app.money import double\n", Cause.MISSING_NAME),
        ("def test_it():\n    import app.other\n", Cause.MISSING_NAME),
        ("def test_it():\n    import brand_new\n", Cause.MISSING_NAME),
        (
            "from app.money import add\n\n\ndef test_it():\n    add(1, 2, rounded=True)\n",
            Cause.MISSING_NAME,
        ),
        (
            (
                "import pytest\nfrom app.money import add\n\n\ndef test_it():\n    with "
                "pytest.raises(ValueError):\n        add(1, 2)\n"
            ),
            Cause.ASSERTION,
        ),
    ],
)
def test_a_good_reason_to_be_red(work, test, cause):
    found = red(work, tests__test_new=test)
    assert found.passed, found.failures
    assert found.evidence.all.tests == {"tests.test_new::test_it": cause}


def test_a_new_file_that_cannot_be_imported_yet_is_red(work):
    found = red(work, tests__test_new=NEW)
    assert found.passed, found.failures
    assert found.evidence.all.files == {"tests/test_new.py": Cause.MISSING_NAME}


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ("def test_it():\n    assert True\n", "passed before there is any source"),
        (
            "import pytest\n\n\ndef test_it():\n    pytest.skip('later')\n",
            "skipped before there is any source",
        ),
        ("def test_it(no_such_fixture):\n    pass\n", "an unknown fixture"),
        ("def test_it(:\n", "SyntaxError"),
        ("import httpx\n\n\ndef test_it():\n    assert httpx.get\n", "ModuleNotFoundError"),
        ("def test_it():\n    undefined_here\n", "a name that the test does not define"),
        ("# no test in here\n", "no new test was found"),
    ],
)
def test_a_bad_reason_to_be_red(work, test, says):
    found = red(work, tests__test_new=test)
    assert not found.passed
    assert any(says in line for line in found.failures), found.failures


def test_old_tests_may_not_be_changed_or_taken_away(work):
    changed = red(
        work,
        tests__test_new=NEW,
        tests__test_money=BASE["tests/test_money.py"].replace("== 3", "== 4"),
    )
    assert any("an old test that passed before is failed now" in line for line in changed.failures)
    gone = red(work, tests__test_new=NEW, tests__test_money=None)
    assert any("an old test that is no longer there" in line for line in gone.failures)


def test_green_is_all_tests_and_the_new_ones_among_them(work):
    found, tree, _ = green(work, {"tests__test_new": NEW}, src__app__money=DOUBLE)
    assert found.passed, found.failures
    assert found.evidence.new == {"tests.test_new::test_double": "tests/test_new.py"}
    assert found.tree == tree


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"src__app__money": BASE["src/app/money.py"]}, "cannot be collected: ImportError"),
        (
            {"src__app__money": DOUBLE.replace("2 * a", "3 * a")},
            "tests.test_new::test_double: assert 6 == 4",
        ),
        ({"src__app__money": DOUBLE.replace("a + b", "a - b")}, "tests.test_money::test_add"),
        ({"src__app__money": DOUBLE, "tests__test_new": None}, "none of its tests was run"),
        ({"src__app__money": DOUBLE, "tests__test_money": None}, "an old test that was not run"),
    ],
)
def test_not_green(work, changes, says):
    before = red(work, tests__test_new=NEW)
    tree = work.plus(**{"tests__test_new": NEW, **changes})
    found = judge(GateName.GREEN, work.context(tree, before))
    assert not found.passed
    assert any(says in line for line in found.failures), found.failures


def test_a_new_test_that_skips_itself_is_not_green(work):
    test = (
        "import app.money\nimport pytest\n\n\ndef test_it():\n    if hasattr(app.money, "
        "'double'):\n        pytest.skip('no')\n    assert 0\n"
    )
    found, _, _ = green(work, {"tests__test_new": test}, src__app__money=DOUBLE)
    assert any("a new test that was skipped (no)" in line for line in found.failures)


def test_a_test_that_exits_the_process_leaves_no_believable_report(work):
    test = (
        "import os\nimport app.money\n\n\ndef test_it():\n    if hasattr(app.money, "
        "'double'):\n        os._exit(0)\n    assert 0\n"
    )
    found, _, _ = green(work, {"tests__test_new": test}, src__app__money=DOUBLE)
    assert any("left no report" in line for line in found.failures)


def test_an_old_flaky_test_is_reported_and_a_new_one_proves_nothing(work, tmp_path):
    flaky = (
        "import pathlib\nimport app.money\n\n\ndef test_it():\n"
        f"    seen = pathlib.Path({str(tmp_path / 'seen')!r})\n"
        "    if hasattr(app.money, 'double') and seen.exists():\n        return\n"
        "    if hasattr(app.money, 'double'):\n        seen.touch()\n    assert 0\n"
    )
    found, _, _ = green(work, {"tests__test_new": flaky}, src__app__money=DOUBLE)
    assert found.evidence.flaky == ("tests.test_new::test_it",)
    assert any("flaky proves nothing" in line for line in found.failures)


@pytest.mark.slow
def test_a_flaky_old_test_does_not_stop_the_change_and_is_never_hidden(tmp_path):
    flaky = (
        "import pathlib\n\n\ndef test_old():\n    seen = "
        f"pathlib.Path({str(tmp_path / 'n')!r})\n    n = len(seen.read_text()) if seen.exists() else 0\n    seen.write_text('x' * (n + 1))\n    assert n != 2\n"
    )
    with trees(tmp_path / "t", {**BASE, "tests/test_flaky.py": flaky}) as work:
        found, _, _ = green(work, {"tests__test_new": NEW}, src__app__money=DOUBLE)
        assert found.passed, found.failures
        assert found.evidence.flaky == ("tests.test_flaky::test_old",)
        assert "flaky: tests.test_flaky::test_old" in found.detail


def test_source_imported_from_elsewhere_is_found_out(tmp_path):
    elsewhere = tmp_path / "elsewhere" / "app"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").write_text("")
    (elsewhere / "money.py").write_text(DOUBLE)
    conftest = f"import sys\nsys.path.insert(0, {str(elsewhere.parent)!r})\n"
    base = {**BASE, "pyproject.toml": "[tool.pytest.ini_options]\n", "conftest.py": conftest}
    with trees(tmp_path / "t", base) as work:
        found = judge(GateName.GREEN, work.context(work.base))
        assert not found.passed
        assert any("not from the tree under test" in line for line in found.failures), (
            found.failures
        )


def test_a_missing_module_that_never_becomes_the_trees_own_voids_the_red(work, tmp_path):
    elsewhere = tmp_path / "site"
    elsewhere.mkdir()
    (elsewhere / "brand_new.py").write_text("def f():\n    return 1\n")
    test = (
        "import sys\n\n\ndef test_it():\n    import app.money\n    if hasattr(app.money, "
        f"'double'):\n        sys.path.insert(0, {str(elsewhere)!r})\n    from brand_new import f\n    assert f() == 1\n"
    )
    found, _, _ = green(work, {"tests__test_new": test}, src__app__money=DOUBLE)
    assert any(
        "brand_new was missing when the tests were red" in line for line in found.failures
    ), found.failures


def test_proof_is_that_the_new_tests_fail_again_without_the_source(work):
    _, tree, before = green(work, {"tests__test_new": NEW}, src__app__money=DOUBLE)
    found = judge(GateName.PROOF, work.context(tree, before))
    assert found.passed
    assert (found.evidence.failed_again, found.evidence.new) == (1, 1)


def test_no_proof_when_something_else_than_the_source_turned_the_tests_green(work):
    test = "import os\n\n\ndef test_it():\n    assert os.path.exists('data.txt')\n"
    before = red(work, tests__test_new=test)
    assert before.passed
    tree = work.plus(**{"tests__test_new": test, "src__app__money": DOUBLE, "data.txt": "x"})
    found = judge(GateName.PROOF, work.context(tree, before))
    assert found.failures == ("tests.test_new::test_it: passes without the source change",)


def test_without_a_red_gate_there_is_no_proof(work):
    tree = work.plus(tests__test_new=NEW, src__app__money=DOUBLE)
    found = judge(GateName.PROOF, work.context(tree))
    assert (found.passed, found.detail) == (
        False,
        "no red gate came before, so nothing is known to be new",
    )


def test_untampered_compares_byte_by_byte_with_what_was_delivered(work):
    before = red(work, tests__test_new=NEW)
    same = judge(
        GateName.UNTAMPERED,
        work.context(work.plus(tests__test_new=NEW, src__app__money=DOUBLE), before),
    )
    assert same.passed
    changed = judge(
        GateName.UNTAMPERED, work.context(work.plus(tests__test_new=NEW + "\n"), before)
    )
    assert changed.failures == ("tests/test_new.py: changed after the tests were delivered",)


def test_findings_without_a_place_are_dropped_and_blocking_ones_pass_in_the_last_round(
    work, tmp_path
):
    finding = {"severity": "blocking", "what": "wrong", "fails_when": "a is huge"}
    places = [("src/app/money.py", 1), ("src/app/money.py", 999), ("nowhere.py", 1)]
    data = {"findings": [{"file": file, "line": line, **finding} for file, line in places]}
    (tmp_path / "findings.json").write_text(json.dumps(data))
    first = judge(
        GateName.FINDINGS, work.context(work.base, findings=(tmp_path / "findings.json",))
    )
    assert first.failures == ("src/app/money.py:1: wrong (fails when: a is huge)",)
    assert first.evidence.dropped == 2
    last = judge(
        GateName.FINDINGS,
        work.context(work.base, findings=(tmp_path / "findings.json",), is_last_round=True),
    )
    assert last.passed
    assert [(one.file, one.line) for one in last.evidence.blocking] == [("src/app/money.py", 1)]


def test_findings_that_nobody_delivered_or_nobody_can_read_are_no_answer(work, tmp_path):
    (tmp_path / "broken.json").write_text("{")
    for findings in ((), (tmp_path / "broken.json",), (tmp_path / "not-there.json",)):
        assert not judge(
            GateName.FINDINGS, work.context(work.base, findings=findings, is_last_round=True)
        ).passed


def test_a_base_result_is_kept_for_the_next_run(work):
    first = work.bench.baseline(work.base, TARGET)
    assert first.tests.keys() == {"tests.test_money::test_add"}
    assert len(list((work.bench._cache).glob(f"baseline-{work.base}-*.json"))) == 1


def test_a_base_that_cannot_be_believed_is_looked_at_anew_by_the_next_run(tmp_path):
    ends = "import os\n\n\ndef test_it():\n    os._exit(0)\n"
    with trees(tmp_path, {**BASE, "tests/test_ends.py": ends}) as work:
        assert work.bench.baseline(work.base, TARGET).problem is not None
    assert not list(tmp_path.rglob("baseline-*.json"))


def test_tests_that_are_run_again_are_really_run_again(tmp_path):
    counts = (
        f"import pathlib\n\n\ndef test_it():\n    path = pathlib.Path({str(tmp_path / 'n')!r})\n"
        "    path.write_text(path.read_text() + 'x' if path.exists() else 'x')\n"
    )
    with trees(tmp_path / "t", {**BASE, "tests/test_counts.py": counts}) as work:
        for number, rerun in enumerate([False, False, True, True]):
            work.bench.run(work.base, TARGET, rerun=rerun)
            assert (tmp_path / "n").read_text() == "x" * max(1, number)


def test_every_gate_has_its_words_for_prompts_and_its_function():
    assert (
        set(GATE_WORDS) == {gate.value for gate in GateName} == {gate.value for gate in table.TABLE}
    )


def test_the_log_of_a_run_says_nothing_of_the_engines_own_tests(work):
    run = work.bench.run(
        work.plus(src__app__money="def add(a, b):\n    return 1\n"), work.targets[0]
    )
    assert run.failing
    log = work.bench.take_log()
    assert "this test of the engine's own" not in log
    assert "assert 1 ==" in log
