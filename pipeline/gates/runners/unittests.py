"""unittest's and Django's own runners: a wrapper of ours around the command, for outcomes.

`python -m unittest ...` and `python manage.py test ...` stay as they are; the wrapper stands
between Python and them, and writes what each test's suite told its result. The roots of the
target's source go in front of the import path, as for pytest.
"""

import os

import msgspec

from pipeline.gates.runners.base import (
    PROBE,
    RunOutput,
    TestCommandLine,
    TestRequest,
    no_report,
    skipped,
    uncollected,
)
from pipeline.gates.runners.python import (
    ProbedFailure,
    import_roots,
    own_origins,
    probe_file,
    probe_variables,
    reason_of,
)
from pipeline.gates.testrun import TestCase, TestOutcome, TestReport
from pipeline.language.runners import index_of_unittest

_WRAPPER = str(PROBE / "idea_to_pr_unittest.py")


class _ProbedTest(msgspec.Struct):
    """What the wrapper recorded of one test; `file` is absolute, or empty."""

    outcome: TestOutcome
    message: str
    text: str
    file: str


class _Probe(msgspec.Struct):
    tests: dict[str, _ProbedTest]
    failures: dict[str, ProbedFailure]
    origins: dict[str, str]


def command_line(request: TestRequest) -> TestCommandLine:
    """Put the wrapper between Python and the command."""
    words = list(request.words)
    at = index_of_unittest(words) or 0
    words[at:at] = [*(() if at else ("python",)), _WRAPPER]
    roots = os.pathsep.join(
        str(request.root / root) for root in import_roots(request.paths, request.target)
    )
    only = os.pathsep.join(os.path.realpath(request.root / path) for path in request.only)
    return TestCommandLine(
        argv=tuple(words),
        env=probe_variables(request) | {"PYTHONPATH": roots, "IDEA_TO_PR_ONLY": only},
        import_env={"PYTHONPATH": roots},
    )


def read(request: TestRequest, output: RunOutput) -> TestReport:
    """Read what the wrapper wrote."""
    try:
        probe = msgspec.json.decode(probe_file(request).read_bytes(), type=_Probe)
    except (OSError, msgspec.DecodeError) as exc:
        return no_report(exc, output)
    report = TestReport(origins=own_origins(request, probe.origins))
    for probed, test in probe.tests.items():
        file = request.from_root(test.file) if test.file else ""
        failure = probe.failures.get(probed)
        name = _from_tree(probed, file)
        reason = reason_of(request, failure, file) if failure is not None else None
        if failure is not None and reason is not None and failure.collecting:
            module = name.partition("::")[0]
            report.uncollected[file or module] = uncollected(reason)
            report.blocked += (f"{module}.", f"{module}::")
            continue
        if test.outcome is TestOutcome.SKIPPED:
            reason = skipped(test.message, file)
        report.tests[name] = TestCase(
            outcome=test.outcome, message=test.message, text=test.text, reason=reason, file=file
        )
    return report


def _from_tree(name: str, file: str) -> str:
    """Return a test's name with the module as it is from the root of the tree.

    `discover -s tests` takes that folder for the top: `test_money.AddTest` is there what
    `tests.test_money.AddTest` is elsewhere, and in what the test stage says of its tests.
    """
    whole = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    parts = whole.split(".")
    for number in range(1, len(parts)):
        module = ".".join(parts[number:])
        if name.startswith((f"{module}.", f"{module}::")):
            return f"{whole}{name.removeprefix(module)}"
    return name
