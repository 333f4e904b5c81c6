"""What `init` and `doctor` print: what was found and why, what was written, and always the next
thing to type.
"""

import io

from pipeline.engine.starting.adopt import InitResult
from pipeline.engine.starting.preflight import Check, CheckStatus
from pipeline.survey.checkout_files import Fact, FoundTarget
from pipeline.survey.survey import Survey
from pipeline.ui import setup
from pipeline.ui.text import Printer

PART = FoundTarget(
    name="app", language="Python", source=("src/**",), tests=("tests/**",), command="pytest -q", why="pyproject.toml",
    checks=("ruff check .",), missing=("mypy",), setup=("make " + "x" * 80,), link=("node_modules",),
)  # fmt: skip


def shown(agent: str = "claude", *, dry: bool = False, merged: tuple[str, ...] = ()) -> str:
    stream = io.StringIO()
    fact = Fact(what="style", value="conventional", why="8 of 10 commits")
    survey = Survey(
        parts=(PART,), facts=(fact,), agent=agent, command=(), pass_env=(), additions=()
    )
    written = InitResult(
        survey=survey, files=("agents/flow.yaml",), merged=merged, flow="version: 1\n"
    )
    setup.show(Printer(stream, {}), written, dry=dry)
    return stream.getvalue()


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()
    ]


def test_every_part_is_shown_with_its_reason_and_what_was_left_out() -> None:
    told = rows(shown())
    assert ["target app", "pytest -q", "Python: pyproject.toml"] in told
    assert ["check", "ruff check .", "must find nothing new"] in told
    assert ["check left out", "mypy", "its program is not installed"] in told
    assert ["linked", "node_modules", "your environment, as a copy"] in told
    assert ["style", "conventional", "8 of 10 commits"] in told
    assert ["agent", "claude", "is installed"] in told


def test_a_long_command_is_cut_where_it_can_still_be_told() -> None:
    (row,) = [row for row in rows(shown()) if row[:1] == ["set-up"]]
    assert len(row[1]) == 64
    assert row[1].startswith("make xxx")
    assert row[1].endswith("x ...")


def test_what_was_written_is_told_from_what_would_be_and_what_was_merged() -> None:
    assert "\nwrote  agents/flow.yaml\n" in shown()
    assert "\nmerged  agents/flow.yaml\n" in shown(merged=("agents/flow.yaml",))
    dry = shown(dry=True)
    assert "\nversion: 1\n" in dry
    assert "\nwould write  agents/flow.yaml\n" in dry
    assert "version: 1" not in shown()


def test_who_has_no_agent_is_told_to_install_one_first() -> None:
    assert shown().splitlines()[-1] == "next: look at agents/flow.yaml, then: pipeline doctor"
    without = shown(agent="")
    assert ["agent", "none", "neither claude nor codex is on the PATH"] in rows(without)
    assert without.splitlines()[-1].startswith(
        "next: install an agent, or name yours in agents/flow.yaml"
    )


def checked(*verdicts: CheckStatus) -> str:
    stream = io.StringIO()
    printer = Printer(stream, {})
    checks = [
        Check(name="git", status=verdict, text="2.40", hint="Install git\nand again")
        for verdict in verdicts
    ]
    checks.append(
        Check(name="flow", status=CheckStatus.OK, text="can be run", hint="trigger_workflow main")
    )
    for check in checks:
        for line in setup.check_lines(printer, check):
            printer.line(line)
    setup.show_end(printer, checks)
    return stream.getvalue()


def test_a_mend_is_printed_for_what_is_not_well_and_for_nothing_else() -> None:
    assert "Install git" not in checked(CheckStatus.OK)
    for verdict in (CheckStatus.WARN, CheckStatus.FAIL):
        lines = checked(verdict).splitlines()
        assert [line.strip() for line in lines[1:3]] == ["Install git", "and again"]


def test_the_end_says_what_to_type_next() -> None:
    assert checked(CheckStatus.OK).splitlines()[-1] == "ready. next: trigger_workflow main"
    assert "ready (1 warning(s)). next: trigger_workflow" in checked(
        CheckStatus.OK, CheckStatus.WARN
    )
    assert "1 problem(s) to fix, then again: pipeline doctor" in checked(
        CheckStatus.WARN, CheckStatus.FAIL
    )
