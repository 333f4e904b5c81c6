"""vitest, jest and `node --test`: one JSON report, in jest's format, which vitest writes too.

A canary is a test file beside the project's own, so that their configuration applies to it as well.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec

from pipeline.gates.runners.base import (
    PROBE,
    TEXT_MAX_CHARACTERS,
    RunOutput,
    TestCommandLine,
    TestRequest,
    index_after,
    no_report,
    skipped,
    uncollected,
)
from pipeline.gates.runners.javascript_canary import canary_files
from pipeline.gates.runners.javascript_errors import reason_of
from pipeline.gates.testrun import TestCase, TestOutcome, TestReport
from pipeline.language import globs
from pipeline.language.runners import runner_of
from pipeline.language.target import Runner

_SELECTS = re.compile(
    r"-t$|--test-?name-?pattern|--only|-o$|--changed|--shard|--project|(?!run$|watch$|-)[a-z]",
    re.IGNORECASE,
)
"""Words by which a command runs some tests only, or may."""

_STATUS = {"passed": TestOutcome.PASSED, "failed": TestOutcome.FAILED}


class _JestTest(msgspec.Struct):
    fullName: str  # noqa: N815 - jest's name
    status: str
    failureMessages: list[str] = []  # noqa: N815 - jest's name


class _JestFile(msgspec.Struct):
    name: str
    status: str = ""
    message: str | None = ""
    assertionResults: list[_JestTest] = []  # noqa: N815 - jest's name


class _JestReport(msgspec.Struct):
    testResults: list[_JestFile]  # noqa: N815 - jest's name


def command_line(request: TestRequest) -> TestCommandLine:
    """Add the report and the canary's file to the target's command."""
    runner = runner_of(request.target.test) or Runner.NODE
    files = canary_files(request, runner)
    only = (
        [request.local(path) for path in (*request.only, *files)]
        if request.only or _names_files(request)
        else []
    )
    match runner:
        case Runner.VITEST:
            once = () if {"run", "--run"} & set(request.words) else ("--run",)
            report = ("--reporter=json", f"--outputFile={request.report}")
            argv = (*request.words, *once, *only, *report)
        case Runner.JEST:
            argv = (*request.words, *only, "--json", f"--outputFile={request.report}")
        case _:
            options = [
                f"--test-reporter={PROBE / 'idea_to_pr_reporter.mjs'}",
                "--test-reporter-destination",
            ]
            options_at = index_after(request.words, "--test")
            argv = (
                *request.words[:options_at],
                *options,
                str(request.report),
                *_spread(request, request.words[options_at:]),
                *only,
            )
    return TestCommandLine(argv=argv, files=files)


def _spread(request: TestRequest, words: Sequence[str]) -> list[str]:
    """Replace patterns by the matching files: Node before 21 leaves that to the shell."""
    expanded: list[str] = []
    for word in words:
        pattern = str(PurePosixPath(request.target.folder) / word)
        files = (
            [request.local(path) for path in request.paths if globs.matches_any([pattern], path)]
            if "*" in word
            else []
        )
        expanded += files or [word]
    return expanded


def read(request: TestRequest, output: RunOutput) -> TestReport:
    """Read the report; test names are `FILE::GROUP > TEST`."""
    try:
        written = msgspec.json.decode(request.report.read_bytes(), type=_JestReport)
    except (OSError, msgspec.DecodeError) as exc:
        return no_report(exc, output)
    report = TestReport(tests={}, uncollected={})
    own = _own_packages(request)
    blocked: list[str] = []
    for file in written.testResults:
        path = request.from_root(file.name)
        for test in file.assertionResults:
            report.tests[f"{path}::{test.fullName}"] = _case(request, test, path, own)
        if file.status == "failed" and not file.assertionResults:
            reason = reason_of(request, file.message or "", path, own)
            report.uncollected[path] = uncollected(reason)
            blocked.append(f"{path}::")
    report.blocked = tuple(blocked)
    report.selects = " ".join(word for word in _own_words(request) if _SELECTS.match(word))
    return report


def _case(request: TestRequest, test: _JestTest, file: str, own: set[str]) -> TestCase:
    """Read one test; only our reporter for `node --test` says why a test was skipped."""
    message = "\n".join(test.failureMessages)
    outcome = _STATUS.get(test.status, TestOutcome.SKIPPED)
    reason = None
    if outcome is TestOutcome.FAILED:
        reason = reason_of(request, message, file, own)
    elif outcome is TestOutcome.SKIPPED:
        reason = skipped(message, file, test.status)
    text = message[:TEXT_MAX_CHARACTERS]
    return TestCase(outcome=outcome, message=message[:600], text=text, reason=reason, file=file)


def _own_packages(request: TestRequest) -> set[str]:
    """Return the packages in this repository, which others in it import by name."""
    names = set()
    for path in request.paths:
        if path.rpartition("/")[2] == "package.json":
            try:
                names.add(
                    msgspec.json.decode(request.read(path) or b"{}", type=dict[str, object]).get(
                        "name"
                    )
                )
            except msgspec.DecodeError:
                continue
    return {name for name in names if isinstance(name, str) and name}


def _names_files(request: TestRequest) -> bool:
    """Return whether the command names test files; then it has to name the canary's too.

    A word is one if the tree has such a test file, a folder of them, or a pattern matches some; a
    part of a path counts unless it may be the value of an option before it (`--config FILE`).
    """
    words = _own_words(request)
    tests = [request.local(path) for path in request.tests()]
    return any(
        _names_tests(word, before, tests) for before, word in zip(("", *words), words, strict=False)
    )


def _own_words(request: TestRequest) -> tuple[str, ...]:
    """Return the words of the command behind the name of its runner."""
    runner = runner_of(request.target.test)
    if runner in {Runner.VITEST, Runner.JEST}:
        names = [word.rpartition("/")[2] for word in request.words]
        return request.words[index_after(names, runner.value) :]
    return request.words[index_after(request.words, "--test") :]


def _names_tests(word: str, before: str, tests: Sequence[str]) -> bool:
    if word.startswith("-") or word in {"run", "watch"}:
        return False
    path = word.removeprefix("./").rstrip("/")
    if any(test == path or test.startswith(f"{path}/") for test in tests):
        return True
    is_value = before.startswith("-") and "=" not in before
    return not is_value and ("*" in word or any(path in test for test in tests))
