"""Why a test failed, in no language's own words: what each runner can tell, and what red makes of
it.
"""

import json
import shutil
import textwrap

import pytest

from pipeline.core.evidence import FailureCause as Cause
from pipeline.gates import table
from pipeline.gates.runners import cargo, go, javascript, junit, status
from pipeline.gates.testrun import MissingName
from pipeline.gates.testrun import TestOutcome as Outcome
from pipeline.gates.testrun import TestReport as Report
from pipeline.gates.testrun import TestRun as Run
from pipeline.language.flow import GateName
from pipeline.language.target import Target
from pipeline.language.target import TestCommand as Command
from pipeline.language.words import Glob, Name
from tests.gates.recorded import printed, requested
from tests.helpers.trees import TARGET, trees


def target(command: str) -> Target:
    return Target(
        name=Name("app"),
        source=(Glob("src/**"),),
        tests=(Glob("test/**"),),
        test=Command(command=command),
    )


def reasons_of(run: Run | Report) -> dict:
    """The reasons of all tests that have one, by the tests' own short names."""
    return {
        name.rpartition("::")[2]: case.reason for name, case in run.tests.items() if case.reason
    }


# pytest, for real

SOURCE = """
import json


def add(a, b):
    return a + b


def refuse():
    raise RuntimeError("boom")


def parse(text):
    return json.loads(text)


def misspell():
    return no_such_thing
"""
TESTS = '''
"""Each test fails for a reason of its own."""

import importlib.metadata
import json

import app.money
import pytest


class OwnError(AssertionError):
    pass


def test_asserts():
    assert app.money.add(1, 1) == 3


def test_fails():
    pytest.fail("no")


def test_expects_an_exception():
    with pytest.raises(ValueError):
        app.money.add(1, 1)


def test_misses_a_name():
    app.money.double(2)


def test_misses_an_export():
    from app.money import double


def test_misses_a_module():
    import app.other.deep


def test_misses_a_parameter():
    app.money.add(1, 2, rounded=True)


def test_misses_a_package():
    import httpx


def test_misses_a_name_of_its_own():
    undefined_here


def test_source_misses_a_name():
    app.money.misspell()


def test_misses_a_name_of_the_library():
    [].nothing


def test_misses_an_installed_package():
    importlib.metadata.version("app")


def test_takes_too_long():
    pytest.fail("Timeout (>1.0s) from pytest-timeout.")


def test_took_too_long_in_older_words():
    pytest.fail("Timeout >1.0s")


def test_says_timeout():
    pytest.fail("no Timeout >1.0s here")


def test_skips():
    pytest.skip("later")


@pytest.mark.xfail(reason="known")
def test_fails_as_known():
    raise RuntimeError("boom")


def test_source_raises():
    app.money.refuse()


def test_source_lets_the_library_raise():
    app.money.parse("{")


def test_raises():
    raise RuntimeError("boom")


def test_lets_the_library_raise():
    json.loads("{")


def test_raises_an_error_of_its_own():
    raise OwnError("no")


@pytest.fixture
def broken():
    raise RuntimeError("boom")


def test_wants_what_breaks(broken):
    pass


def test_wants_what_is_not_there(no_such_fixture):
    pass
'''
FILES = {
    "tests/test_all.py": TESTS,
    "tests/test_syntax.py": "def test_it(:\n",
    "tests/test_raises.py": "raise RuntimeError('boom')\n",
    "tests/test_asserts.py": "assert 0\n",
    "tests/test_export.py": "from app.money import double\n",
    "tests/test_package.py": "import httpx\n",
}


@pytest.fixture(scope="module")
def by_pytest(tmp_path_factory):
    with trees(tmp_path_factory.mktemp("causes")) as work:
        tree = work.plus(src__app__money=SOURCE, **FILES)
        run = work.bench.run(tree, TARGET)
        assert run.problem is None, run.problem
        yield run


@pytest.mark.parametrize(
    ("test", "cause"),
    [
        ("asserts", Cause.ASSERTION),
        ("fails", Cause.ASSERTION),
        ("expects_an_exception", Cause.ASSERTION),
        ("says_timeout", Cause.ASSERTION),
        ("misses_a_name", Cause.MISSING_NAME),
        ("misses_an_export", Cause.MISSING_NAME),
        ("misses_a_module", Cause.MISSING_NAME),
        ("misses_a_parameter", Cause.MISSING_NAME),
        ("takes_too_long", Cause.TIMED_OUT),
        ("took_too_long_in_older_words", Cause.TIMED_OUT),
        ("skips", Cause.SKIPPED),
        ("fails_as_known", Cause.SKIPPED),
        ("source_raises", Cause.RAISED_IN_SOURCE),
        ("source_lets_the_library_raise", Cause.RAISED_IN_SOURCE),
        ("raises", Cause.RAISED_IN_TEST),
        ("lets_the_library_raise", Cause.RAISED_IN_TEST),
        ("raises_an_error_of_its_own", Cause.RAISED_IN_TEST),
        ("wants_what_breaks", Cause.RAISED_IN_TEST),
        ("wants_what_is_not_there", Cause.UNKNOWN),
    ],
)
def test_pytest_tells_why_a_test_failed(by_pytest, test, cause):
    assert reasons_of(by_pytest)[f"test_{test}"].cause is cause


@pytest.mark.parametrize(
    ("test", "owner", "name", "raised"),
    [
        ("misses_a_name", "app.money", "double", Cause.RAISED_IN_TEST),
        ("misses_an_export", "app.money", "double", Cause.RAISED_IN_TEST),
        ("misses_a_parameter", "", "rounded", Cause.RAISED_IN_TEST),
        ("misses_a_module", "app.other", "", Cause.RAISED_IN_TEST),
        ("misses_a_package", "httpx", "", Cause.RAISED_IN_TEST),
        ("misses_a_name_of_its_own", "test_all", "undefined_here", Cause.RAISED_IN_TEST),
        ("misses_a_name_of_the_library", "builtins", "nothing", Cause.RAISED_IN_TEST),
        ("misses_an_installed_package", "app", "", Cause.RAISED_IN_TEST),
        ("source_misses_a_name", "app.money", "no_such_thing", Cause.RAISED_IN_SOURCE),
    ],
)
def test_pytest_tells_whose_name_is_missing_and_where_it_was_missed(
    by_pytest, test, owner, name, raised
):
    reason = reasons_of(by_pytest)[f"test_{test}"]
    assert (reason.cause, reason.raised) == (Cause.MISSING_NAME, raised)
    is_module = test in {"misses_a_module", "misses_a_package"}
    assert reason.missing == MissingName(owner=owner, name=name, is_module=is_module)


def test_pytest_tells_the_message_of_a_skip(by_pytest):
    reasons = reasons_of(by_pytest)
    assert reasons["test_skips"].text == "later"
    assert reasons["test_fails_as_known"].text == "known"


def test_pytest_tells_a_file_that_cannot_be_loaded_from_one_that_waits_for_a_name(by_pytest):
    assert {file: reason.cause for file, reason in by_pytest.uncollected.items()} == {
        "tests/test_syntax.py": Cause.NOT_COLLECTED,
        "tests/test_raises.py": Cause.NOT_COLLECTED,
        "tests/test_asserts.py": Cause.NOT_COLLECTED,
        "tests/test_export.py": Cause.MISSING_NAME,
        "tests/test_package.py": Cause.MISSING_NAME,
    }
    assert by_pytest.uncollected["tests/test_syntax.py"].what == "SyntaxError"
    assert by_pytest.uncollected["tests/test_package.py"].missing.is_module


# node --test, for real

NODE = {
    "package.json": '{"name": "money", "type": "module"}',
    "src/money.js": "export const refuse = () => { throw new RangeError('no'); };\n",
    "node_modules/left/index.js": "module.exports = () => { throw new Error('left'); };\n",
    "node_modules/left/package.json": '{"name": "left", "main": "index.js"}',
    "test/all.test.js": textwrap.dedent("""\
        import { test } from 'node:test';
        import assert from 'node:assert';
        import left from 'left';
        import * as money from '../src/money.js';
        test('asserts', () => assert.equal(1, 2));
        test('misses a name', () => money.double(2));
        test('misses a name of its own', () => nothing());
        test('misses a module', async () => { await import('../src/other.js'); });
        test('misses a package', async () => { await import('no-such-package'); });
        test('takes too long', { timeout: 20 }, async () => { await new Promise((r) => setTimeout(r, 400)); });
        test('skips', { skip: 'later' }, () => {});
        test('skips without a word', { skip: true }, () => {});
        test('source raises', () => money.refuse());
        test('raises', () => { throw new Error('here'); });
        test('lets a package raise', () => left());
        test('rejects with a word', () => Promise.reject('word'));
    """),
    "test/syntax.test.js": "this is ( not\n",
    "test/export.test.js": "import { last } from '../src/money.js';\n",
    "test/package.test.js": "import x from 'no-such-package';\n",
}


@pytest.fixture(scope="module")
def by_node(tmp_path_factory):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    node = target("node --test test/*.test.js")
    with trees(tmp_path_factory.mktemp("node"), NODE, (node,)) as work:
        run = work.bench.run(work.base, node)
        assert run.problem is None, run.problem
        yield run


@pytest.mark.parametrize(
    ("test", "cause", "raised"),
    [
        ("asserts", Cause.ASSERTION, Cause.RAISED_IN_TEST),
        ("misses a name", Cause.MISSING_NAME, Cause.RAISED_IN_TEST),
        ("misses a name of its own", Cause.MISSING_NAME, Cause.RAISED_IN_TEST),
        ("misses a module", Cause.MISSING_NAME, None),
        ("misses a package", Cause.MISSING_PACKAGE, None),
        ("takes too long", Cause.TIMED_OUT, Cause.UNKNOWN),
        ("skips", Cause.SKIPPED, Cause.UNKNOWN),
        ("skips without a word", Cause.SKIPPED, Cause.UNKNOWN),
        ("source raises", Cause.RAISED_IN_SOURCE, Cause.RAISED_IN_SOURCE),
        ("raises", Cause.RAISED_IN_TEST, Cause.RAISED_IN_TEST),
        ("lets a package raise", Cause.RAISED_IN_TEST, Cause.RAISED_IN_TEST),
        ("rejects with a word", Cause.UNKNOWN, Cause.UNKNOWN),
    ],
)
def test_node_tells_why_a_test_failed_and_where(by_node, test, cause, raised):
    reason = reasons_of(by_node)[test]
    assert reason.cause is cause
    assert raised in {None, reason.raised}  # of a failed import Node's releases tell it or not


def test_node_tells_the_message_of_a_skip(by_node):
    assert reasons_of(by_node)["skips"].text == "later"
    assert reasons_of(by_node)["skips without a word"].text == ""


def test_node_tells_which_name_is_missing(by_node):
    reasons = reasons_of(by_node)
    assert reasons["misses a name"].missing == MissingName(owner="", name="money.double")
    missing = reasons["misses a module"].missing
    assert missing.is_module
    assert missing.owner == ""
    assert missing.name.endswith("/src/other.js")


def test_node_tells_a_file_that_cannot_be_loaded_from_one_that_waits_for_a_name(by_node):
    assert {file: reason.cause for file, reason in by_node.uncollected.items()} == {
        "test/syntax.test.js": Cause.NOT_COLLECTED,
        "test/export.test.js": Cause.MISSING_NAME,
        "test/package.test.js": Cause.MISSING_PACKAGE,
    }
    assert by_node.uncollected["test/syntax.test.js"].what == "SyntaxError"


# jest 30.5 and vitest 4.1, as they write it

JEST_INNER = (
    "\n    at Promise.finally.completed ({root}/node_modules/jest-circus/build/x.js:1834:28)"
)
JEST = {
    "asserts": (
        (
            "Error: expect(received).toBe(expected) // Object.is equality\n\nExpected: "
            "2\nReceived: 1\n"
            "    at Object.toBe ({root}/test/a.test.js:6:35)"
        ),
        Cause.ASSERTION,
    ),
    "misses": (
        (
            "TypeError: (0 , _money.double) is not a function\n"
            "    at Object.double ({root}/test/a.test.js:7:31)"
        ),
        Cause.MISSING_NAME,
    ),
    "takes too long": (
        (
            'Error: thrown: "Exceeded timeout of 100 ms for a test.\nAdd a timeout value to this test"\n'
            "    at _getError ({root}/node_modules/jest-circus/build/jestAdapterInit.js:1985:12)"
        ),
        Cause.TIMED_OUT,
    ),
    "source raises": (
        (
            "RangeError: too much\n    at Object.exports.fails ({root}/src/money.js:2:31)\n"
            "    at Object.fails ({root}/test/a.test.js:2:30)"
        ),
        Cause.RAISED_IN_SOURCE,
    ),
    "raises": (
        "Error: here\n    at Object.<anonymous> ({root}/test/a.test.js:3:27)",
        Cause.RAISED_IN_TEST,
    ),
    "throws a word": ('Error: thrown: "word"', Cause.UNKNOWN),
}
VITEST = {
    "asserts": (
        (
            "AssertionError: expected 1 to be 2 // Object.is equality\n    at "
            "{root}/test/a.test.js:6:35"
        ),
        Cause.ASSERTION,
    ),
    "misses": (
        (
            "TypeError: __vite_ssr_import_1__.double is not a function\n    at "
            "{root}/test/a.test.js:7:31"
        ),
        Cause.MISSING_NAME,
    ),
    "takes too long": (
        (
            "Error: STACK_TRACE_ERROR\n"
            "    at task (file://{root}/node_modules/@vitest/runner/dist/chunk-artifact.js:1784:27)\n"
            "    at {root}/test/a.test.js:4:1"
        ),
        Cause.TIMED_OUT,
    ),
    "takes too long, told": ("Error: Test timed out in 100ms.\nIf this", Cause.TIMED_OUT),
    "source raises": (
        (
            "RangeError: too much\n    at Module.fails (file://{root}/src/money.js?v=1:2:36)\n"
            "    at {root}/test/a.test.js:2:30"
        ),
        Cause.RAISED_IN_SOURCE,
    ),
    "raises": ("Error: here\n    at async {root}/test/a.test.js:3:27", Cause.RAISED_IN_TEST),
}


def by_javascript(tmp_path, command, tests, files=()):
    paths = dict.fromkeys(
        ["src/money.js", "test/a.test.js", "node_modules/jest-circus/build/x.js"], ""
    )
    request = requested(tmp_path, command, paths)
    root = str(request.root)
    results = [
        {"name": f"{root}/{name}", "status": "failed", "message": text} for name, text in files
    ]
    if tests:
        shown = [
            {"fullName": name, "status": given, "failureMessages": messages}
            for name, given, messages in tests
        ]
        results.append({"name": f"{root}/test/a.test.js", "assertionResults": shown})
    request.report.write_text(json.dumps({"testResults": results}).replace("{root}", root))
    return javascript.read(request, printed(tmp_path))


@pytest.mark.parametrize(("command", "recorded"), [("jest", JEST), ("vitest run", VITEST)])
def test_jest_and_vitest_tell_why_a_test_failed(tmp_path, command, recorded):
    tests = [(name, "failed", [text + JEST_INNER]) for name, (text, _) in recorded.items()]
    tests += [("later", "pending", []), ("never", "skipped", [])]
    report = by_javascript(tmp_path, command, tests)
    wanted = {name: cause for name, (_, cause) in recorded.items()}
    assert {name: reason.cause for name, reason in reasons_of(report).items()} == {
        **wanted,
        "later": Cause.SKIPPED,
        "never": Cause.SKIPPED,
    }
    assert reasons_of(report)["misses"].raised is Cause.RAISED_IN_TEST


def test_jest_and_vitest_tell_why_a_file_could_not_be_loaded(tmp_path):
    suite = "  ● Test suite failed to run\n\n"
    files = [
        ("test/b.js", f"{suite}    Cannot find module 'no-such' from 'test/b.js'"),
        ("test/c.js", f"{suite}    Cannot find module '../src/other' from 'test/c.js'"),
        ("test/d.js", f"{suite}    Jest encountered an unexpected token"),
        ("test/e.js", "Cannot find package 'no-such' imported from {root}/test/e.js"),
    ]
    report = by_javascript(tmp_path, "jest", [], files)
    assert [reason.cause for reason in report.uncollected.values()] == [
        Cause.MISSING_PACKAGE,
        Cause.MISSING_NAME,
        Cause.NOT_COLLECTED,
        Cause.MISSING_PACKAGE,
    ]


# go test, as it writes it

GO_TRACE = """\
panic: boom [recovered]
\tpanic: boom

goroutine 6 [running]:
testing.tRunner.func1.2({0x4f3a20, 0x53b1d0})
\t/usr/local/go/src/testing/testing.go:1545 +0x238
"""
GO = {
    "TestAsserts": ("fail", "    money_test.go:7: got 2, want 3\n", Cause.ASSERTION),
    "TestSource": (
        "fail",
        "goroutine 6 [running]:\nruntime/debug.Stack()\n\t{root}/test/money_test.go:8 +0x1d\n"
        + GO_TRACE
        + "example.org/money.Add(...)\n\t{root}/src/money.go:4\n"
        + "example.org/money.TestSource(0x0)\n\t{root}/test/money_test.go:9 +0x1d\n",
        Cause.RAISED_IN_SOURCE,
    ),
    "TestRaises": (
        "fail",
        GO_TRACE + "example.org/money.TestRaises(0x0)\n\t{root}/test/money_test.go:9 +0x1d\n",
        Cause.RAISED_IN_TEST,
    ),
    "TestTrimmed": (
        "fail",
        GO_TRACE + "example.org/money.Add(...)\n\texample.org/money/src/money.go:4 +0x1d\n",
        Cause.RAISED_IN_SOURCE,
    ),
    "TestElsewhere": ("fail", GO_TRACE, Cause.UNKNOWN),
    "TestSlow": (
        "fail",
        (
            "panic: test timed out after 1s\nrunning tests:\n\tTestSlow (1s)\n\n"
            "goroutine 17 [running]:\n\t/usr/local/go/src/testing/testing.go:2366 +0x30d\n"
        ),
        Cause.TIMED_OUT,
    ),
    "TestLater": ("skip", "    money_test.go:12: not today\n", Cause.SKIPPED),
}


def by_go(tmp_path, events, stderr=""):
    files = {"go.mod": "module example.org/money\n", "src/money.go": "", "test/money_test.go": ""}
    request = requested(tmp_path, "go test ./...", files, tests="**/*_test.go")
    lines = "\n".join(json.dumps(event) for event in events).replace("{root}", str(request.root))
    return go.read(request, printed(tmp_path, lines + "\n", stderr))


def test_go_tells_why_a_test_failed(tmp_path):
    events = []
    for test, (action, text, _) in GO.items():
        of = {"Package": "example.org/money/test", "Test": test}
        events += [
            {"Action": "output", **of, "Output": line}
            for line in (
                f"=== RUN   {test}\n",
                *text.splitlines(keepends=True),
                f"--- {action}: {test} (0.00s)\n",
            )
        ]
        events.append({"Action": action, **of})
    reasons = reasons_of(by_go(tmp_path, events))
    assert {name: reason.cause for name, reason in reasons.items()} == {
        name: cause for name, (_, _, cause) in GO.items()
    }
    assert reasons["TestLater"].text == "not today"


@pytest.mark.parametrize(
    ("text", "cause", "is_module"),
    [
        ("undefined: Two", Cause.MISSING_NAME, False),
        ("too many arguments in call to Add", Cause.MISSING_NAME, False),
        ("package example.org/money/new is not in std", Cause.MISSING_NAME, True),
        ("expected declaration, found this", Cause.NOT_COLLECTED, None),
    ],
)
def test_go_tells_a_package_that_does_not_compile_from_one_that_waits_for_a_name(
    tmp_path, text, cause, is_module
):
    events = [{"Action": "fail", "Package": "example.org/money/test"}]
    report = by_go(tmp_path, events, f"test/money_test.go:6:5: {text}\n")
    reason = report.uncollected["test/money_test.go"]
    assert (reason.cause, reason.raised) == (cause, Cause.RAISED_IN_TEST)
    assert (reason.missing.is_module if reason.missing else None) is is_module
    assert "undefined" not in text or reason.missing.name == "Two"


def test_a_go_package_that_fails_without_a_place_was_not_collected(tmp_path):
    report = by_go(tmp_path, [{"Action": "fail", "Package": "example.org/money/test"}])
    assert {file: one.cause for file, one in report.uncollected.items()} == {
        "test": Cause.NOT_COLLECTED
    }


# cargo test, as it writes it (1.95, and 1.72 for the older form of a panic)

FRAMES = """\
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/panicking.rs:689:5
   5: money::fails
             at ./src/lib.rs:2:10
   6: a::source
             at ./test/a.rs:2:15
"""
CARGO = {
    "asserts": (
        "thread 'asserts' (20531) panicked at test/a.rs:6:16:\nassertion `left == right` failed",
        Cause.ASSERTION,
    ),
    "calm": ("note: test did not panic as expected at test/a.rs:9:4", Cause.ASSERTION),
    "raises": ("thread 'raises' (2) panicked at test/a.rs:4:12:\nhere", Cause.RAISED_IN_TEST),
    "source": (
        "thread 'source' (3) panicked at src/lib.rs:2:10:\ncalled `Option::unwrap()` on a `None`",
        Cause.RAISED_IN_SOURCE,
    ),
    "old": ("thread 'old' panicked at 'a, b', src/lib.rs:3:5", Cause.RAISED_IN_SOURCE),
    "old_lines": ("thread 'x' panicked at 'a\nb', test/a.rs:3:5", Cause.RAISED_IN_TEST),
    "library": (
        "thread 'library' panicked at /rustc/59807616/library/core/src/x.rs:3:5:\nhere\n" + FRAMES,
        Cause.RAISED_IN_SOURCE,
    ),
    "result": ('Error: "bad"', Cause.UNKNOWN),
}
RUST = {"src/lib.rs": "", "test/a.rs": ""}


def test_cargo_tells_why_a_test_failed(tmp_path):
    lines = ["running 9 tests", *(f"test {name} ... FAILED" for name in CARGO)]
    lines += ["test later ... ignored, not today", "test never ... ignored", "", "failures:", ""]
    for name, (text, _) in CARGO.items():
        lines += [f"---- {name} stdout ----", "", text, ""]
    lines += ["failures:", *(f"    {name}" for name in CARGO), "test result: FAILED."]
    request = requested(tmp_path, "cargo test", RUST)
    stderr = "     Running test/a.rs (target/debug/deps/a-b939221ae0e47308)\n"
    reasons = reasons_of(cargo.read(request, printed(tmp_path, "\n".join(lines), stderr)))
    assert {name: reason.cause for name, reason in reasons.items()} == {
        **{name: cause for name, (_, cause) in CARGO.items()},
        "later": Cause.SKIPPED,
        "never": Cause.SKIPPED,
    }
    assert (reasons["later"].text, reasons["never"].text) == ("not today", "")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("error[E0425]: cannot find function `double` in crate `money`", Cause.MISSING_NAME),
        ("error[E0583]: file not found for module `other`", Cause.MISSING_NAME),
        ("error[E0463]: can't find crate for `serde`", Cause.MISSING_PACKAGE),
        ("error[E0308]: mismatched types", Cause.NOT_COLLECTED),
        ("error: expected one of `!` or `::`, found `is`", Cause.NOT_COLLECTED),
    ],
)
def test_cargo_tells_code_that_does_not_compile_from_code_that_waits_for_a_name(
    tmp_path, error, cause
):
    request = requested(tmp_path, "cargo test", RUST)
    report = cargo.read(request, printed(tmp_path, stderr=f"{error}\n  --> test/a.rs:3:5\n"))
    reason = report.uncollected["test/a.rs"]
    assert (reason.cause, reason.raised) == (cause, Cause.RAISED_IN_TEST)
    assert (reason.missing is not None) is (cause is Cause.MISSING_NAME)
    if reason.missing is not None:
        assert reason.missing.is_module is ("E0583" in error)
        assert reason.missing.name == ("other" if "E0583" in error else "double")


# JUnit files of several languages

JAVA = """<error type="java.lang.IllegalStateException" message="boom">java.lang.IllegalStateException: boom
\tat java.base/java.util.Objects.requireNonNull(Objects.java:259)
\tat com.acme.{where}.run({where}.java:12)
\tat com.acme.MoneyTest.adds(MoneyTest.java:7)
</error>"""
PYTHON = """<error type="ValueError" message="boom">Traceback (most recent call last):
  File "test/test_money.py", line 5, in test_it
  File "{where}", line 2, in add
ValueError: boom
</error>"""
MOCHA = """<failure>too much
RangeError: too much
    at exports.fails ({where}:2:31)
    at Context.&#x3C;anonymous&#x3E; (test/a.js:2:28)
    at process.processImmediate (node:internal/timers:483:21)</failure>"""
MOCHA_SLOW = (
    "<failure>Timeout of 50ms exceeded. For async tests and hooks, ensure it resolves.</failure>"
)
IN_JUNIT = [
    (JAVA.format(where="Money"), Cause.RAISED_IN_SOURCE),
    (JAVA.format(where="MoneyTest"), Cause.RAISED_IN_TEST),
    (PYTHON.format(where="src/money.py"), Cause.RAISED_IN_SOURCE),
    (PYTHON.format(where="test/test_money.py"), Cause.RAISED_IN_TEST),
    (MOCHA.format(where="src/money.js"), Cause.RAISED_IN_SOURCE),
    (MOCHA.format(where="test/a.js"), Cause.RAISED_IN_TEST),
    (MOCHA.format(where="node_modules/left/index.js"), Cause.RAISED_IN_TEST),
    (MOCHA_SLOW, Cause.TIMED_OUT),
    (
        '<error type="java.util.concurrent.TimeoutException" message="adds() timed out after 1 second"/>',
        Cause.TIMED_OUT,
    ),
    (
        '<failure type="org.opentest4j.AssertionFailedError" message="execution timed out after 9 ms"/>',
        Cause.TIMED_OUT,
    ),
    (
        '<error type="org.junit.runners.model.TestTimedOutException" message="test timed out after 9 milliseconds"/>',
        Cause.TIMED_OUT,
    ),
    ('<failure type="Failed" message="no"/>', Cause.ASSERTION),
    ('<failure type="org.opentest4j.AssertionFailedError" message="no"/>', Cause.ASSERTION),
    ('<failure message="Expected 3, got 4"/>', Cause.ASSERTION),
    ('<failure message="TypeError: money.double is not a function"/>', Cause.MISSING_NAME),
    ("<failure message=\"Cannot find module 'left-pad'\"/>", Cause.MISSING_PACKAGE),
    ('<skipped message="later"/>', Cause.SKIPPED),
    ('<error message="Segmentation fault"/>', Cause.UNKNOWN),
]
JUNIT_TREE = dict.fromkeys(
    [
        "src/java/com/acme/Money.java",
        "test/java/com/acme/MoneyTest.java",
        "src/money.py",
        "test/test_money.py",
        "src/money.js",
        "test/a.js",
        "node_modules/left/index.js",
    ],
    "",
)


@pytest.mark.parametrize(("element", "cause"), IN_JUNIT)
def test_a_junit_file_tells_why_a_test_failed(tmp_path, element, cause):
    request = requested(tmp_path, "run {report}", JUNIT_TREE)
    case = f'<testcase classname="t" name="one">{element}</testcase>'
    request.report.write_text(f"<testsuite>{case}</testsuite>")
    reason = reasons_of(junit.read(request, printed(tmp_path)))["one"]
    assert reason.cause is cause
    assert cause is not Cause.SKIPPED or reason.text == "later"


def test_with_the_exit_status_alone_nothing_else_is_told(tmp_path):
    report = status.read(requested(tmp_path, "make test", {}), printed(tmp_path, "AssertionError"))
    assert reasons_of(report)["all"].cause is Cause.EXIT_STATUS
    passed = status.read(requested(tmp_path, "make test", {}), printed(tmp_path, code=0))
    assert not reasons_of(passed)


# where in the tree


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("{root}/web/src/a.js", "web/src/a.js"),
        ("src/a.js", "web/src/a.js"),
        ("./src/../src/a.js", "web/src/a.js"),
        ("web/src/a.js", "web/src/a.js"),
        ("/usr/lib/src/a.js", ""),
        ("src/b.js", ""),
        ("", ""),
        ("node_modules/left/index.js", ""),
        ("lib/site-packages/left.py", ""),
    ],
)
def test_a_file_of_a_trace_is_one_of_the_trees_own_or_none(tmp_path, name, file):
    tree = dict.fromkeys(
        ["web/src/a.js", "web/node_modules/left/index.js", "web/lib/site-packages/left.py"], ""
    )
    request = requested(tmp_path, "jest", tree, folder="web")
    assert request.own_file(name.replace("{root}", str(request.root))) == file


def test_a_test_that_lies_among_the_source_is_a_test(tmp_path):
    tree = dict.fromkeys(["src/a.js", "src/a.test.js"], "")
    request = requested(tmp_path, "jest", tree, tests="src/*.test.js")
    assert request.raised_in(["src/a.test.js", "src/a.js"]) is Cause.RAISED_IN_TEST
    assert request.raised_in(["/usr/x.js", "src/a.js"]) is Cause.RAISED_IN_SOURCE
    assert request.raised_in(["/usr/x.js"]) is Cause.UNKNOWN


# what red makes of it


def judge(gate: GateName, context):
    return table.check(gate, context)


RED = {
    Cause.ASSERTION: '<failure message="expected 3"/>',
    Cause.MISSING_NAME: '<failure message="TypeError: money.double is not a function"/>',
    Cause.MISSING_PACKAGE: "<failure message=\"Cannot find module 'left-pad'\"/>",
    Cause.TIMED_OUT: MOCHA_SLOW,
    Cause.RAISED_IN_SOURCE: MOCHA.format(where="src/money.js"),
    Cause.RAISED_IN_TEST: MOCHA.format(where="test/a.js"),
    Cause.SKIPPED: "<skipped/>",
    Cause.UNKNOWN: '<error message="Segmentation fault"/>',
}
PROVES_NOTHING = {Cause.MISSING_PACKAGE, Cause.SKIPPED}


@pytest.fixture(scope="module")
def by_report(tmp_path_factory):
    """A project whose tests print a report that lies in the tree."""
    command = target("sh run.sh {report}")
    files = {
        "run.sh": "cp report.xml $1; ! grep -q '<failure\\|<error' report.xml\n",
        "report.xml": "<testsuite/>",
        "src/money.js": "",
        "test/a.js": "",
    }
    with trees(tmp_path_factory.mktemp("red"), files, (command,)) as work:
        yield work


@pytest.mark.parametrize("cause", RED)
def test_red_takes_every_failure_that_the_source_can_mend(by_report, cause):
    case = f'<testcase classname="t" name="one">{RED[cause]}</testcase>'
    tree = by_report.plus(**{"report.xml": f"<testsuite>{case}</testsuite>", "test/b.js": ""})
    red = judge(GateName.RED, by_report.context(tree))
    assert red.passed is (cause not in PROVES_NOTHING), red.failures
    wanted = {} if cause is Cause.SKIPPED else {"t::one": cause}
    assert red.evidence.all.tests == wanted
    assert by_report.bench.run(tree, by_report.targets[0]).named(Outcome.SKIPPED) == (
        ["t::one"] if cause is Cause.SKIPPED else []
    )


def red_of_python(work, **changes):
    return judge(GateName.RED, work.context(work.plus(**changes)))


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    with trees(tmp_path_factory.mktemp("red-python")) as work:
        yield work


@pytest.mark.parametrize(
    ("body", "cause", "missing"),
    [
        ("import app.money; app.money.double(2)", Cause.MISSING_NAME, ()),
        ("import app.other", Cause.MISSING_NAME, ("app.other",)),
        ("import brand_new.part", Cause.MISSING_NAME, ("brand_new",)),
        ("import app.money; app.money.add(1, 2, rounded=True)", Cause.MISSING_NAME, ()),
        ("import httpx", Cause.MISSING_PACKAGE, ()),
        ("import json; json.no_such", Cause.RAISED_IN_TEST, ()),
        ("undefined_here", Cause.RAISED_IN_TEST, ()),
        ("import importlib.metadata as m; m.version('nothing')", Cause.RAISED_IN_TEST, ()),
        ("raise ModuleNotFoundError", Cause.RAISED_IN_TEST, ()),
        ("raise AttributeError", Cause.RAISED_IN_TEST, ()),
        ("raise ImportError", Cause.RAISED_IN_TEST, ()),
    ],
)
def test_red_knows_whose_a_missing_name_is(python, body, cause, missing):
    red = red_of_python(python, tests__test_new=f"def test_it():\n    {body}\n")
    assert red.evidence.all.tests == {"tests.test_new::test_it": cause}
    assert red.evidence.all.missing == missing
    assert red.passed is (cause is not Cause.MISSING_PACKAGE and body != "undefined_here")


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("from app.money import double\n", True),
        ("import brand_new\n", True),
        ("import httpx\n", False),
        ("undefined_here\n", False),
        ("def test_it(:\n", False),
        ("raise RuntimeError\n", True),
        ("import app.money\n\nassert app.money.RATES\n", True),
    ],
)
def test_red_takes_a_file_that_cannot_be_loaded_unless_no_source_can_mend_it(python, text, is_good):
    red = red_of_python(python, tests__test_new=text)
    assert red.passed is is_good
    assert list(red.evidence.all.files) == (["tests/test_new.py"] if is_good else [])
