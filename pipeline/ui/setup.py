"""What `init` found and wrote, and what `doctor` checked, as text."""

from collections.abc import Iterator, Sequence

from pipeline.engine.ground.flows import FLOW
from pipeline.engine.starting.adopt import InitResult
from pipeline.engine.starting.preflight import Check, CheckStatus
from pipeline.ui.text import Colour, Printer

_WIDTH = 64
_SIGNS = {
    CheckStatus.OK: ("✓", Colour.GREEN),
    CheckStatus.WARN: ("!", Colour.YELLOW),
    CheckStatus.FAIL: ("✗", Colour.RED),
}


def show(printer: Printer, written: InitResult, *, dry: bool) -> None:
    """Print what was found and why, what was written, and what to type next."""
    survey = written.survey
    rows: list[list[str]] = []
    for part in survey.parts:
        rows.append([f"target {part.name}", part.command, f"{part.language}: {part.why}"])
        rows += [["  check", command, "must find nothing new"] for command in part.checks]
        rows += [
            ["  check left out", command, "its program is not installed"]
            for command in part.missing
        ]
        setup = [
            ["  set-up", _short(command), "run once for each state of the lock files"]
            for command in part.setup
        ]
        rows += [row for row in setup if row not in rows]
        rows += [["  linked", folder, "your environment, as a copy"] for folder in part.link]
    rows += [[fact.what, fact.value, fact.why] for fact in survey.facts]
    agent = (
        [survey.agent, "is installed"]
        if survey.agent
        else ["none", "neither claude nor codex is on the PATH"]
    )
    printer.table(["found", "", "why"], [*rows, ["agent", *agent]])
    printer.line()
    if dry:
        for line in written.flow.splitlines():
            printer.line(line)
        printer.line()
    longer = {".gitignore", *(one.path for one in survey.additions)}
    for name in written.files:
        act = (
            ("would add to" if name in longer else "would write")
            if dry
            else _done(name, longer, written)
        )
        printer.line(f"{act}  {name}")
    for name in written.kept:
        printer.line(f"kept   {name}, as it is")
    for one in survey.additions:
        printer.line(f"{one.path}: {one.why}")
    printer.line()
    if not survey.agent:
        printer.line(
            f"next: install an agent, or name yours in {FLOW} (defaults: command), then: "
            "pipeline doctor"
        )
    else:
        printer.line(f"next: look at {FLOW}, then: pipeline doctor")


def _done(name: str, longer: set[str], written: InitResult) -> str:
    return "added to" if name in longer else "merged" if name in written.merged else "wrote"


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 4] + " ..."


def check_lines(printer: Printer, check: Check) -> Iterator[str]:
    """Yield the lines that show one answer with its hint."""
    sign, colour = _SIGNS[check.status]
    first, *more = check.text.splitlines() or [""]
    yield f"{printer.paint(sign, colour)} {check.name:<22} {first}"
    yield from (f"  {'':<22} {line}" if line else "" for line in more)
    if check.status is not CheckStatus.OK:
        yield from (f"  {'':<22} {line}" for line in check.hint.splitlines())


def show_end(printer: Printer, checks: Sequence[Check]) -> None:
    """Print what it comes to, and what to type next."""
    failed = sum(check.status is CheckStatus.FAIL for check in checks)
    doubtful = sum(check.status is CheckStatus.WARN for check in checks)
    printer.line()
    if failed:
        printer.line(f"{failed} problem(s) to fix, then again: pipeline doctor")
    else:
        after = f" ({doubtful} warning(s))" if doubtful else ""
        printer.line(f"ready{after}. next: {checks[-1].hint}")
