"""Test runners besides pytest, each the real one: what is red, green and proven with them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from pipeline.core.evidence import FailureCause as Cause
from pipeline.gates import table
from pipeline.language.flow import GateName
from pipeline.language.target import Report, Target
from pipeline.language.target import TestCommand as Command
from pipeline.language.words import Duration, Glob, Name
from tests.helpers.toolchains import JEST, VITEST, need, need_npm
from tests.helpers.trees import Trees, trees

GO = {
    "go.mod": "module example.org/money\n\ngo 1.19\n",
    "money.go": "package money\n\nfunc Add(a, b int) int { return a + b }\n",
    "money_test.go": 'package money\n\nimport "testing"\n\nfunc TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Fatal("no")\n\t}\n}\n',
    "deep/deep.go": "package deep\n\nfunc One() int { return 1 }\n",
    "deep/deep_test.go": 'package deep\n\nimport "testing"\n\nfunc TestOne(t *testing.T) {\n\tif One() != 1 {\n\t\tt.Fatal("no")\n\t}\n}\n',
}
RUST = {
    "Cargo.toml": '[package]\nname = "money"\nversion = "0.1.0"\nedition = "2021"\n',
    "src/lib.rs": "pub fn add(a: i32, b: i32) -> i32 {\n    a + b\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(super::add(1, 2), 3);\n    }\n}\n",
    "tests/money.rs": "#[test]\nfn adds() {\n    assert_eq!(money::add(1, 2), 3);\n}\n",
}
JS = {
    "package.json": '{"name": "money", "type": "module"}',
    "src/money.js": "export function add(a, b) {\n  return a + b;\n}\n",
    "test/money.test.js": "{head}test('adds', () => { if (add(1, 2) !== 3) throw new Error('no'); });\n",
}
ASSERT = "if ({call} !== 4) {{ throw Object.assign(new Error('expect(4)'), {{ name: 'AssertionError' }}); }}"


class Case(NamedTuple):
    """A project for one runner, a new test for it, the source that turns it green, and what is told
    of it.
    """

    target: Target
    base: Mapping[str, str]
    test: tuple[str, str]
    source: tuple[str, str]
    name: str
    cause: Cause
    old: tuple[str, str]
    env: Callable[[], Mapping[str, str]]


def target(command: str, source: str, tests: str) -> Target:
    return Target(
        name=Name("app"),
        source=(Glob(source),),
        tests=(Glob(tests),),
        test=Command(command=command, timeout_s=Duration(120.0)),
    )


def javascript(
    command: str, head: str, env: Callable[[], Mapping[str, str]], *, imports: bool = True
) -> Case:
    use = (
        "import {{ {names} }} from '../src/money.js';\n"
        if imports
        else "const {{ {names} }} = require('../src/money.js');\n"
    )
    base = {
        **JS,
        "test/money.test.js": JS["test/money.test.js"].replace(
            "{head}", head + use.format(names="add")
        ),
    }
    source = JS["src/money.js"] + "export function double(a) {\n  return 2 * a;\n}\n"
    if not imports:
        base |= {
            "package.json": '{"name": "money"}',
            "src/money.js": "exports.add = (a, b) => a + b;\n",
        }
        source = base["src/money.js"] + "exports.double = (a) => 2 * a;\n"
    test = (
        f"{head}import * as money from '../src/money.js';\n"
        if imports
        else "const money = require('../src/money.js');\n"
    )
    test += "test('doubles', () => { " + ASSERT.format(call="money.double(2)") + " });\n"
    return Case(
        target(command, "src/**", "test/**"),
        base,
        ("test/double.test.js", test),
        ("src/money.js", source),
        "test/double.test.js::doubles",
        Cause.MISSING_NAME,
        (
            "test/money.test.js",
            base["test/money.test.js"].replace("=== 3", "=== 3").replace("!== 3", "=== 3"),
        ),
        env,
    )


CASES = {
    "go": Case(
        target("go test ./...", "**/*.go ! **/*_test.go", "**/*_test.go"),
        GO,
        (
            "deep/two_test.go",
            'package deep\n\nimport "testing"\n\nfunc TestTwo(t *testing.T) {\n\tif Two() != 2 {\n\t\tt.Fatal("no")\n\t}\n}\n',
        ),
        ("deep/two.go", "package deep\n\nfunc Two() int { return 2 }\n"),
        "deep/two_test.go",
        Cause.MISSING_NAME,
        ("money_test.go", GO["money_test.go"].replace("!= 3", "== 3")),
        lambda: need("go"),
    ),
    "cargo": Case(
        target("cargo test --offline", "src/**", "tests/**"),
        RUST,
        ("tests/double.rs", "#[test]\nfn doubles() {\n    assert_eq!(money::double(2), 4);\n}\n"),
        ("src/lib.rs", RUST["src/lib.rs"] + "\npub fn double(a: i32) -> i32 {\n    2 * a\n}\n"),
        "tests/double.rs",
        Cause.MISSING_NAME,
        ("tests/money.rs", RUST["tests/money.rs"].replace("3", "4")),
        lambda: need("cargo"),
    ),
    "node": javascript(
        "node --test", "import { test } from 'node:test';\n", lambda: need_npm(left_pad="1.3.0")
    ),
    "vitest": javascript(
        "vitest run", "import { test } from 'vitest';\n", lambda: need_npm(vitest=VITEST)
    ),
    "jest": javascript("jest", "", lambda: need_npm(jest=JEST), imports=False),
}
SLOW = {"cargo", "go", "jest", "vitest"}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CASES],
)
def at_work(request, tmp_path_factory):
    case = CASES[request.param]
    env = dict(case.env())
    folder = tmp_path_factory.mktemp(request.param)
    if modules := env.pop("MODULES", ""):
        (folder / "bench").mkdir()
        (folder / "bench" / "node_modules").symlink_to(modules)
    with trees(folder, case.base, (case.target,), **env) as made:
        yield case, made


def check(gate: GateName, work: Trees, tree: str, red=None):
    return table.check(gate, work.context(tree, red))


def test_a_new_test_is_red_then_green_then_proven(at_work):
    case, work = at_work
    red = check(GateName.RED, work, work.plus(**dict([case.test])))
    assert red.passed, red.failures
    assert {**red.evidence.all.tests, **red.evidence.all.files} == {case.name: case.cause}
    tree = work.plus(**dict([case.test, case.source]))
    green = check(GateName.GREEN, work, tree, red)
    assert green.passed, green.failures
    assert len(green.evidence.new) == 1
    proof = check(GateName.PROOF, work, tree, red)
    assert proof.passed, proof.failures
    assert (proof.evidence.failed_again, proof.evidence.faults.tried) == (1, 0)
    told = (
        "no mutation testing tool is installed"
        if case.source[0].endswith(".js")
        else "no mutation testing tool is known"
    )
    assert told in proof.detail


def test_a_test_file_that_waits_for_a_module_of_the_project_is_red_then_green(at_work):
    case, work = at_work
    if not case.source[0].endswith(".js"):
        pytest.skip("a matter of JavaScript's imports")
    use = "import { triple } from '../src/triple.js';"
    source = "export const triple = (a) => 3 * a;\n"
    test = case.test[1].replace("import * as money from '../src/money.js';", use)
    if "require" in test:
        test = test.replace(
            "const money = require('../src/money.js');",
            "const { triple } = require('../src/triple.js');",
        )
        source = "exports.triple = (a) => 3 * a;\n"
    test = test.replace("money.double(2) !== 4", "triple(2) !== 6")
    red = check(GateName.RED, work, work.plus(**{"test/triple.test.js": test}))
    assert red.passed, red.failures
    assert red.evidence.all.files == {"test/triple.test.js": Cause.MISSING_NAME}
    green = check(
        GateName.GREEN,
        work,
        work.plus(**{"test/triple.test.js": test, "src/triple.js": source}),
        red,
    )
    assert green.passed, green.failures
    elsewhere = test.replace("../src/triple.js", "no-such-package")
    assert not check(GateName.RED, work, work.plus(**{"test/triple.test.js": elsewhere})).passed


def test_an_old_test_that_fails_now_is_told(at_work):
    case, work = at_work
    tree = work.plus(**dict([case.old]))
    assert work.bench.baseline(work.base, case.target).failing == []
    failing = work.bench.run(tree, case.target).failing
    assert len(failing) == 1
    assert failing[0].startswith(case.old[0].rpartition("/")[0] or ".")


def test_a_source_that_does_not_parse_is_not_red(at_work):
    case, work = at_work
    red = check(GateName.RED, work, work.plus(**{case.test[0]: "this is ( not source\n"}))
    assert not red.passed
    assert not red.evidence.all.tests


def test_a_runner_that_exits_without_a_word_is_not_believed(at_work):
    case, work = at_work
    quiet = Target(
        name=Name("quiet"),
        source=case.target.source,
        tests=case.target.tests,
        test=Command(command="true", runner=gates_runner(case)),
    )
    assert work.bench.run(work.base, quiet).problem


def gates_runner(case: Case):
    from pipeline.language.runners import runner_of

    return runner_of(case.target.test)


WEAK = Target(
    name=Name("app"),
    source=(Glob("src/**"),),
    tests=(Glob("tests/**"),),
    test=Command(command="sh check.sh", report=Report.EXIT_CODE),
)
SH = {
    "check.sh": "for one in tests/*.sh; do sh $one || exit 1; done\n",
    "tests/a.sh": "exit 0\n",
    "src/a": "1\n",
}


def test_with_the_exit_status_alone_red_green_and_proof_say_less(tmp_path):
    with trees(tmp_path, SH, (WEAK,)) as work:
        new = {"tests/b.sh": "test -e src/b\n"}
        red = check(GateName.RED, work, work.plus(**new))
        assert red.passed
        assert red.evidence.all.tests == {"app::all": Cause.EXIT_STATUS}
        assert "only the exit status is known" in red.detail
        done = work.plus(**new, **{"src/b": "2\n"})
        assert check(GateName.GREEN, work, done, red).passed
        assert check(GateName.PROOF, work, done, red).passed
        assert not check(GateName.GREEN, work, work.plus(**new), red).passed
        assert not check(GateName.RED, work, work.plus(**{"src/c": "3\n"})).passed
        assert not check(GateName.RED, work, work.plus(**{"tests/b.sh": "true\n"})).passed


JUNIT = """import sys
ok = open("src/a").read() == "1\\n"
case = '<testcase classname="t" name="one"/>' if ok else '<testcase classname="t" name="one"><failure message="assert 1"/></testcase>'
open(sys.argv[1], "w").write(f"<testsuite>{case}</testsuite>")
sys.exit(STATUS)
"""


@pytest.mark.parametrize(
    ("status", "problem"),
    [("0 if ok else 1", ""), ("0", "exit status 0, but the report says failed")],
)
def test_a_command_that_writes_junit_itself(tmp_path, status, problem):
    own = Target(
        name=Name("app"),
        source=(Glob("src/**"),),
        tests=(Glob("tests/**"),),
        test=Command(command="python run.py {report}"),
    )
    with trees(
        tmp_path, {"src/a": "1\n", "run.py": JUNIT.replace("STATUS", status)}, (own,)
    ) as work:
        assert list(work.bench.run(work.base, own).tests) == ["t::one"]
        now = work.bench.run(work.plus(**{"src/a": "2\n"}), own)
        assert (now.problem.text if now.problem else "") == problem
        assert problem or now.failing == ["t::one"]


@pytest.mark.slow
def test_faults_in_javascript_are_made_by_the_stryker_that_the_project_has(tmp_path):
    case = CASES["vitest"]
    env = dict(
        need_npm(
            vitest="3.2.4", stryker_mutator__core="9.6.1", stryker_mutator__vitest_runner="9.6.1"
        )
    )
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "node_modules").symlink_to(env.pop("MODULES"))
    source = (
        case.base["src/money.js"]
        + "export function double(a) {\n  if (a < 0) return 0;\n  return 2 * a;\n}\n"
    )
    with trees(tmp_path, case.base, (case.target,), **env) as work:
        red = check(GateName.RED, work, work.plus(**dict([case.test])))
        assert red.passed, red.failures
        proof = check(
            GateName.PROOF, work, work.plus(**dict([case.test]), **{"src/money.js": source}), red
        )
    assert proof.passed, proof.failures
    shown = proof.evidence.faults
    assert (shown.not_tried, shown.untried_files) == (0, ())
    assert shown.noticed >= 2
    assert any(
        str(survivor).startswith("src/money.js:5: EqualityOperator") for survivor in shown.survivors
    )
