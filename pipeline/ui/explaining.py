"""What stands between a run and its end, for people: reasons, open questions, error codes."""

from pipeline.core.events import ApprovalAsked
from pipeline.core.state import RunState
from pipeline.engine.looking.explain import Explanation, StatusReason
from pipeline.files.rundir import RunDir
from pipeline.language.codes import Code
from pipeline.repo.changes import changes
from pipeline.repo.store import Store
from pipeline.ui.text import Colour, Printer

_LINES_MAX = 60


def show_explanation(printer: Printer, explanation: Explanation) -> None:
    """Print why a run stands where it stands, then each of its open stages."""
    printer.line(f"{printer.state(explanation.state)}  run {explanation.run_id}")
    for reason in explanation.reasons:
        _show(printer, reason)
    for stage in explanation.stages:
        printer.line()
        printer.line(f"{printer.state(stage.state)}  {stage.stage}")
        for reason in stage.reasons:
            _show(printer, reason)


def _show(printer: Printer, reason: StatusReason) -> None:
    printer.line(f"  {reason.why}")
    if reason.next_command:
        printer.line(f"    {printer.paint(reason.next_command, Colour.DIM)}")


def show_code(printer: Printer, code: Code) -> None:
    """Print what an error code means, with its example."""
    printer.line(f"{printer.paint(code.code, Colour.BOLD)}: {code.title}")
    printer.line(code.meaning)
    for word, text in (("wrong", code.wrong), ("right", code.right)):
        printer.line()
        printer.line(f"{word}:")
        for line in text.splitlines():
            printer.line(f"  {line}")


def show_questions(printer: Printer, state: RunState, store: Store, rundir: RunDir) -> None:
    """Print the open approvals' questions, each with what it says is to be shown."""
    for asked in state.agenda.asked.values():
        _show_question(printer, asked, state, store, rundir)


def _show_question(
    printer: Printer, asked: ApprovalAsked, state: RunState, store: Store, rundir: RunDir
) -> None:
    node = state.plan.nodes[asked.stage]
    printer.line()
    printer.line(f"{printer.paint(asked.stage, Colour.BOLD)} asks: {asked.question}")
    for word in node.approval.show if node.approval is not None else ():
        if word == "diff":
            _show_diff(printer, asked, state, store)
            continue
        stage, _, output = word.partition(".")
        target = node.refs.get(stage, stage)
        path = rundir.accepted(target) / state.plan.nodes[target].outputs[output].file
        printer.line()
        printer.line(f"== {word}: {rundir.stage(target) / path.name}")
        lines = (
            path.read_text(errors="replace").splitlines()
            if path.is_file()
            else ["(it was not delivered)"]
        )
        for line in lines[:_LINES_MAX]:
            printer.line(line)
        if len(lines) > _LINES_MAX:
            printer.line(f"... and {len(lines) - _LINES_MAX} lines more")


def _show_diff(printer: Printer, asked: ApprovalAsked, state: RunState, store: Store) -> None:
    files = changes(store, state.started.base, asked.tree) if asked.tree else []
    printer.line()
    printer.line("== diff" + ("" if files else ": nothing has changed yet"))
    rows = [[change.path, change.what, change.lines] for change in files]
    if rows:
        printer.table(["changed", "", "lines"], rows)
