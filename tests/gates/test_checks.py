"""Checks, style and choice of targets on real projects: only what a change made worse counts."""

import shutil
import sys
import venv
from pathlib import Path

import pytest

from pipeline.core.evidence import FailureCause as Cause
from pipeline.core.evidence import GateVerdict
from pipeline.engine.running.formatting import formatted
from pipeline.gates import table
from pipeline.gates.checker_output import findings, parts_of
from pipeline.language.flow import GateName
from pipeline.language.target import Target
from pipeline.language.target import TestCommand as Command
from pipeline.language.words import Glob, Name
from tests.helpers.trees import BASE, trees

UGLY = "import os\n\n\ndef old( a ):\n    return a\n"


def with_checks(*commands, style=()) -> tuple[Target, ...]:
    return (
        Target(
            name=Name("app"),
            source=(Glob("src/**"),),
            tests=(Glob("tests/**"),),
            test=Command(command="python -m pytest -q"),
            checks=commands,
            format=style,
        ),
    )


def judge(gate: GateName, context):
    return table.check(gate, context)


def check(work, **changes):
    return judge(GateName.CHECKS, work.context(work.plus(**changes)))


RUFF = "ruff check --no-cache --output-format={form} src"


@pytest.mark.parametrize("form", ["concise", "full"])
def test_old_findings_are_left_aside_and_new_ones_fail(tmp_path, form):
    base = {**BASE, "src/app/old.py": UGLY}
    with trees(tmp_path, base, with_checks(RUFF.format(form=form))) as work:
        moved = check(work, src__app__old="# moved\n\n" + UGLY)
        assert moved.passed, moved.failures
        assert "were there before" in moved.detail
        worse = check(work, src__app__new="import sys\n")
        assert not worse.passed
        assert len(worse.failures) == 1
        assert "F401" in worse.failures[0]
        assert "src/app/new.py:1:8" in worse.failures[0]


@pytest.mark.slow
def test_types_and_layout_of_the_real_checkers_are_told_apart(tmp_path):
    base = {**BASE, "src/app/old.py": "def old(a: int) -> str:\n    return a\n"}
    checks = with_checks("mypy --no-incremental src", "ruff format --no-cache --check src")
    with trees(tmp_path, base, checks) as work:
        assert check(work, src__app__old="# moved\n" + base["src/app/old.py"]).passed
        worse = check(work, src__app__new="def new( a: int ) -> str:\n    return a\n")
        told = "\n".join(worse.failures)
        assert "src/app/new.py:2: error: Incompatible return value" in told
        assert "src/app/new.py:1:9: unformatted" in told
        assert len(worse.failures) == 2


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("ruff check . && mypy .", ["ruff check .", "mypy ."]),
        ("ruff check src", ["ruff check src"]),
        ("cd src && mypy .", ["cd src && mypy ."]),
        (". ./env.sh && mypy .", [". ./env.sh && mypy ."]),
        ("ruff check . && cd src && mypy .", ["ruff check . && cd src && mypy ."]),
        ("A=1 && lint $A", ["A=1 && lint $A"]),
        ("lint | grep -v 'x' && types", ["lint | grep -v 'x' && types"]),
    ],
)
def test_checks_joined_by_and_are_run_one_by_one_unless_one_changes_the_next(command, parts):
    assert parts_of(command) == parts


def test_without_checks_there_is_nothing_that_could_have_passed(tmp_path):
    with trees(tmp_path, BASE, with_checks()) as work:
        found = check(work, src__app__new="x = 1\n")
        assert found.verdict is GateVerdict.NOT_APPLICABLE
        assert (found.passed, found.detail) == (False, "no checks are declared")


def test_a_check_that_is_not_installed_fails_and_says_so(tmp_path):
    with trees(tmp_path, BASE, with_checks("no-such-linter src")) as work:
        found = check(work, src__app__new="import sys\n")
    assert not found.passed
    assert "cannot be run" in found.failures[0]
    assert "no-such-linter" in found.failures[0]


def test_findings_of_other_checkers_are_read():
    eslint = (
        "\n/x/src/a.ts\n  3:5  error  'b' is unused  no-unused-vars\n  4:1  warning  other  "
        "rule\n\n✖ 2 problems\n"
    )
    assert findings(eslint) == [
        "/x/src/a.ts:3:5  error  'b' is unused  no-unused-vars",
        "/x/src/a.ts:4:1  warning  other  rule",
    ]
    assert findings("src/a.ts(3,5): error TS2322: Type\nFound 1 error.\n") == [
        "src/a.ts(3,5): error TS2322: Type"
    ]
    pyright = "/x/src/a.py\n  /x/src/a.py:1:8 - error: Import (reportX)\n1 error\n"
    assert findings(pyright) == ["  /x/src/a.py:1:8 - error: Import (reportX)"]
    assert findings("Checking formatting...\n[warn] src/a.ts\n") == ["[warn] src/a.ts"]
    assert findings("something else went wrong\n") == ["something else went wrong"]


def test_the_formatter_is_applied_to_what_a_stage_changed_and_to_nothing_else(tmp_path):
    targets = with_checks(
        style=("ruff format --no-cache {files}", "touch src/planted.py; ruff format --no-cache src")
    )
    with trees(tmp_path, {**BASE, "src/app/old.py": UGLY}, targets) as work:
        tree = work.plus(src__app__new="def new( a ):\n    return   a\n", **{"notes.txt": "a  b\n"})
        styled, files = styled_by(work, targets, tree, ["src/app/new.py", "notes.txt"])
        assert files == ("src/app/new.py",)
        assert work.store.read(styled, "src/app/new.py") == b"def new(a):\n    return a\n"
        assert [change.path for change in work.store.diff(tree, styled)] == ["src/app/new.py"]
        broken = work.plus(src__app__new="def new( a :\n")
        assert styled_by(work, targets, broken, ["src/app/new.py"]) == (broken, ())


def test_a_file_that_the_formatter_cannot_read_keeps_it_from_no_other(tmp_path):
    fails_on_data = (
        'sh -c \'case "$*" in *.dat*) exit 1;; esac; sed -i s/ugly/fine/ "$@"\' sh {files}'
    )
    with trees(tmp_path, BASE, with_checks(style=(fails_on_data,))) as work:
        tree = work.plus(src__app__new="ugly = 1\n", **{"src/app/x.dat": "ugly\n"})
        styled, files = styled_by(work, work.targets, tree, ["src/app/new.py", "src/app/x.dat"])
        assert files == ("src/app/new.py",)
        assert work.store.read(styled, "src/app/new.py") == b"fine = 1\n"


MESSY = "import os\n\n\ndef old( a ):\n    return   a\n\n\ndef other( b ):\n    return b\n"
RUFF_FORMAT = "ruff format --no-cache -q {files}"


def test_a_file_that_was_not_formatted_is_formatted_only_where_it_changed(tmp_path):
    base = {**BASE, "src/app/old.py": MESSY, "src/app/fine.py": "def fine(a):\n    return a\n"}
    with trees(tmp_path, base, with_checks(style=(RUFF_FORMAT,))) as work:
        changed = MESSY.replace("return b", "return   [b,b]")
        fine = "def fine(a):\n    return   a + 1\n"
        tree = work.plus(src__app__old=changed, src__app__fine=fine)
        paths = ["src/app/old.py", "src/app/fine.py"]
        done = style(work, work.targets, tree, paths)
        assert done.partly == ("src/app/old.py",)
        assert done.files == ("src/app/fine.py", "src/app/old.py")
        now = (work.store.read(done.tree, "src/app/old.py") or b"").decode()
        assert now == MESSY.replace("return b", "return [b, b]")
        assert work.store.read(done.tree, "src/app/fine.py") == b"def fine(a):\n    return a + 1\n"


def test_a_part_of_the_formatting_that_means_something_else_is_left_out(tmp_path):
    # It puts a bracket round the file: one half of that is no program.
    brackets = "sh -c 'for f; do grep -q [[] $f || { sed -i \"1s/^/[/;\\$s/\\$/]/\" $f; }; done' sh {files}"
    with trees(
        tmp_path, {**BASE, "src/app/old.py": "1,\n2,\n3\n"}, with_checks(style=(brackets,))
    ) as work:
        tree = work.plus(src__app__old="5,\n2,\n3\n")
        done = style(work, work.targets, tree, ["src/app/old.py"])
        assert (done.tree, done.files, done.partly) == (tree, (), ("src/app/old.py",))


def style(work, targets, tree, paths):
    return formatted(work.store, work.bench, targets, since=work.base, tree=tree, changed=paths)


def styled_by(work, targets, tree, paths):
    done = style(work, targets, tree, paths)
    assert done.partly == ()
    return done.tree, done.files


def two_targets(**more) -> tuple[Target, ...]:
    return tuple(
        Target(
            name=Name(name),
            folder=name,
            source=(Glob(f"{name}/src/**"),),
            tests=(Glob(f"{name}/tests/**"),),
            test=Command(command="python -m pytest -q"),
            **more.get(name, {}),
        )
        for name in ("api", "web")
    )


MONO = {
    f"{name}/{path}": text.replace("add", f"add_{name}")
    for name in ("api", "web")
    for path, text in BASE.items()
} | {"README.md": "x\n", "tool.cfg": "x\n"}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ("api/src/app/money.py", ["api", "web"]),
        ("web/src/app/money.py", ["web"]),
        ("web/pyproject.toml", ["web"]),
        ("tool.cfg", ["api", "web"]),
        ("README.md", ["api", "web"]),
    ],
)
def test_only_targets_that_a_change_can_concern_are_tested(tmp_path, changed, wanted):
    targets = two_targets(web={"depends": (Name("api"),)})
    with trees(tmp_path, MONO, targets) as work:
        context = work.context(work.plus(**{changed: MONO[changed] + "\n"}))
        assert [target.name for target in context.affected()] == wanted


def test_a_file_of_no_target_concerns_all_of_them_whatever_else_was_changed(tmp_path):
    changed = {name: MONO[name] + "\n" for name in ("tool.cfg", "web/src/app/money.py")}
    with trees(tmp_path, MONO, two_targets()) as work:
        context = work.context(work.plus(**changed))
        assert [target.name for target in context.affected()] == ["api", "web"]


@pytest.mark.slow
def test_each_target_is_tested_in_its_folder_and_answers_for_its_own_new_tests(tmp_path):
    targets = two_targets()
    test = "from app.money import double\n\n\ndef test_double():\n    assert double(2) == 4\n"
    tests = {"api/tests/test_new.py": test, "web/tests/test_other.py": test}
    source = {
        f"{name}/src/app/money.py": MONO[f"{name}/src/app/money.py"]
        + "\n\ndef double(a):\n    return 2 * a\n"
        for name in ("api", "web")
    }
    with trees(tmp_path, MONO, targets) as work:
        red = judge(GateName.RED, work.context(work.plus(**tests)))
        assert red.passed, red.failures
        assert red.evidence.all.files == dict.fromkeys(tests, Cause.MISSING_NAME)
        tree = work.plus(**tests, **source)
        green = judge(GateName.GREEN, work.context(tree, red))
        assert green.passed, green.failures
        assert list(green.evidence.new) == [
            "api/tests.test_new::test_double",
            "web/tests.test_other::test_double",
        ]
        assert green.evidence.passed == 4
        half = judge(
            GateName.GREEN, work.context(work.plus(**tests, **dict(list(source.items())[:1])), red)
        )
        assert [line.partition(":")[0] for line in half.failures] == ["web/tests/test_other.py"]
        proof = judge(GateName.PROOF, work.context(tree, red))
        assert (proof.evidence.failed_again, proof.evidence.new) == (2, 2)


def test_an_editable_install_of_another_checkout_does_not_decide_what_is_tested(tmp_path):
    elsewhere = tmp_path / "checkout" / "src" / "app"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").write_text("")
    (elsewhere / "money.py").write_text(
        "def add(a, b):\n    return 3\n\n\ndef double(a):\n    return 4\n"
    )
    venv.create(tmp_path / "venv", symlinks=True)
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    ours = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    (site / "all.pth").write_text(f"{tmp_path / 'checkout' / 'src'}\n{ours}\n")
    base = {name: text for name, text in BASE.items() if name != "pyproject.toml"}
    test = "from app.money import double\n\n\ndef test_double():\n    assert double(2) == 4\n"
    path = f"{tmp_path / 'venv' / 'bin'}:{Path(shutil.which('git') or '/usr/bin/git').parent}:/usr/bin:/bin"
    with trees(tmp_path, base, PATH=path) as work:
        assert not work.bench.baseline(work.base, work.targets[0]).foreign
        red = judge(GateName.RED, work.context(work.plus(tests__test_new=test)))
        assert red.passed, red.failures
