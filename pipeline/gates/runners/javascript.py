"""vitest, jest and `node --test`.

One JSON report, in the form that jest gave it and vitest writes as well.

A canary is a test file beside the project's own, so that whatever is configured for those holds for
it too. Why a test failed is told by the error's name and words (vitest 4, jest 30, Node 20 to 24).
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec

from pipeline.gates.runners.base import PROBE, Ask, Call, Left, after, no_report
from pipeline.gates.testrun import Reason, Seen, TestCase, TestOutcome
from pipeline.language import globs
from pipeline.language.runners import runner_of
from pipeline.language.target import Runner

_TEST_FILE = re.compile(r"(?:[._-](?:test|spec))\.([cm]?[jt]sx?)$")
_ENDINGS = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx")
_STATUS = {"passed": TestOutcome.PASSED, "failed": TestOutcome.FAILED}
_ASSERTS = re.compile(r"(?:Jest)?AssertionError|Error: expect\(")
_NAMED = re.compile(r"^(?:\w*Error|\[?\w+Error)[^:\n]*")
_MODULE = re.compile(
    r"(?:Cannot find (?:module|package)|Failed to (?:load url|resolve import)) ['\"]?([^'\"\s]+)"
)
_NAME = re.compile(
    r"([\w.$]+|\(0 , [\w.$]+\)) is not (?:a function|a constructor|defined|iterable)"
    r"|does not provide an export named '([^']+)'|Cannot read properties of undefined \(reading '([^']+)'\)"
)
_OWN = ("./", "../", "/", "@/", "~/", "#", "file:")


class _Assertion(msgspec.Struct):
    fullName: str  # noqa: N815 - jest's name
    status: str
    failureMessages: list[str] = []  # noqa: N815 - jest's name


class _File(msgspec.Struct):
    name: str
    status: str = ""
    message: str | None = ""
    assertionResults: list[_Assertion] = []  # noqa: N815 - jest's name


class _Report(msgspec.Struct):
    testResults: list[_File]  # noqa: N815 - jest's name


def call(ask: Ask) -> Call:
    """Add the report and the canary's file to the target's command."""
    runner = runner_of(ask.target.test) or Runner.NODE
    files = _canary(ask, runner)
    only = (
        [ask.local(path) for path in (*ask.only, *files)]
        if ask.only or _names_files(ask, runner)
        else []
    )
    match runner:
        case Runner.VITEST:
            words = [*ask.words, *([] if {"run", "--run"} & set(ask.words) else ["--run"]), *only]
            argv = (*words, "--reporter=json", f"--outputFile={ask.report}")
        case Runner.JEST:
            argv = (*ask.words, *only, "--json", f"--outputFile={ask.report}")
        case _:
            options = [
                f"--test-reporter={PROBE / 'idea_to_pr_reporter.mjs'}",
                "--test-reporter-destination",
            ]
            at = after(ask.words, "--test")
            argv = (
                *ask.words[:at],
                *options,
                str(ask.report),
                *_spread(ask, ask.words[at:]),
                *only,
            )
    return Call(argv=argv, files=files)


def _spread(ask: Ask, words: Sequence[str]) -> list[str]:
    """Put the files in the place of a pattern, which before Node 21 only a shell does."""
    out: list[str] = []
    for word in words:
        pattern = str(PurePosixPath(ask.target.folder) / word)
        files = (
            [ask.local(path) for path in ask.paths if globs.matches_any([pattern], path)]
            if "*" in word
            else []
        )
        out += files or [word]
    return out


def read(ask: Ask, left: Left) -> Seen:
    """Read the report; test names are `FILE::GROUP > TEST`."""
    try:
        report = msgspec.json.decode(ask.report.read_bytes(), type=_Report)
    except (OSError, msgspec.DecodeError) as exc:
        return no_report(exc, left)
    seen = Seen(tests={}, uncollected={})
    own = _own_packages(ask)
    blocked: list[str] = []
    for file in report.testResults:
        path = ask.from_root(file.name)
        for one in file.assertionResults:
            message = "\n".join(one.failureMessages)
            outcome = _STATUS.get(one.status, TestOutcome.SKIPPED)
            reason = told(message, path, own) if outcome is TestOutcome.FAILED else None
            case = TestCase(outcome=outcome, message=message[:600], reason=reason, file=path)
            seen.tests[f"{path}::{one.fullName}"] = case
        if file.status == "failed" and not file.assertionResults:
            seen.uncollected[path] = told(file.message or "", path, own)
            blocked.append(f"{path}::")
    seen.blocked = tuple(blocked)
    return seen


def told(text: str, file: str, own: set[str]) -> Reason:
    """Tell an assertion from a name that is missing, and that from all else."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).strip()
    if (module := _MODULE.search(plain)) is not None:
        name = module.group(1)
        is_own = name.startswith(_OWN) or any(
            name == one or name.startswith(one + "/") for one in own
        )
        return Reason("ModuleNotFoundError", plain[:500], ("", name) if is_own else None, file)
    if (found := _NAME.search(plain)) is not None:
        name = next(group for group in found.groups() if group)
        return Reason("missing name", plain[:500], ("", name), file)
    if _ASSERTS.match(plain.partition("\n")[0]):
        return Reason("AssertionError", plain[:500], None, file)
    named = _NAMED.match(plain)
    return Reason(
        named.group().split(" ")[0].strip("[") if named else "Error", plain[:500], None, file
    )


def _own_packages(ask: Ask) -> set[str]:
    """Name the packages of this very repository, which a workspace imports by name."""
    names = set()
    for path in ask.paths:
        if path.rpartition("/")[2] == "package.json":
            try:
                names.add(
                    msgspec.json.decode(ask.read(path) or b"{}", type=dict[str, object]).get("name")
                )
            except msgspec.DecodeError:
                continue
    return {name for name in names if isinstance(name, str) and name}


def _canary(ask: Ask, runner: Runner) -> dict[str, str]:
    """Make files with the test that must fail, one beside each kind of test file in each folder.

    Some of them may be no tests to the runner (helpers, those of another runner): one that is run
    is enough.
    """
    models = [path for path in (*ask.only, *ask.tests()) if path.endswith(_ENDINGS)]
    files: dict[str, str] = {}
    body = f'test("{ask.canary}", () => {{ throw new Error("this test of the engine\'s own always fails"); }});\n'
    for model in map(PurePosixPath, models or ["test/x.test.js"]):
        found = _TEST_FILE.search(model.name)
        ending = found.group() if found else model.suffix
        stem = f"idea_to_pr_{ask.canary}" if found else f"test_idea_to_pr_{ask.canary}"
        path = str(model.with_name(f"{stem}{ending}"))
        head = {
            Runner.VITEST: 'import { test } from "vitest";\n',
            Runner.NODE: _node_import(ask, path),
        }.get(runner, "")
        files[path] = f"// @ts-nocheck\n{head}{body}"
    return files


def _node_import(ask: Ask, path: str) -> str:
    """Import `test` as the file will be read.

    CommonJS, unless its ending or the nearest package.json differs.
    """
    folders = [
        str(parent / "package.json").removeprefix("./") for parent in PurePosixPath(path).parents
    ]
    nearest = next((ask.read(one) or b"" for one in folders if one in set(ask.paths)), b"")
    is_module = path.endswith((".mjs", ".mts")) or (
        not path.endswith((".cjs", ".cts"))
        and re.search(rb'"type"\s*:\s*"module"', nearest) is not None
    )
    return (
        'import { test } from "node:test";\n'
        if is_module
        else 'const { test } = require("node:test");\n'
    )


def _names_files(ask: Ask, runner: Runner) -> bool:
    """Tell whether the command names test files itself, so that the canary's has to be named, too."""
    words = ask.words
    rest = words[after(words, "--test") :]
    if runner in {Runner.VITEST, Runner.JEST}:
        rest = words[after([word.rpartition("/")[2] for word in words], runner.value) :]
    return any(not word.startswith("-") and word not in {"run", "watch"} for word in rest)
