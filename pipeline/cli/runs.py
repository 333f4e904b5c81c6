"""`pipeline status | list | show | logs | explain | rollback | locks`.

Looking at runs, and taking them away.
"""

import time
from pathlib import Path
from textwrap import indent
from typing import Any

import click

from pipeline.errors import NothingToDo, UsageProblem

_RUN = click.argument("run", required=False, default="")
_GIVEN_RUN = click.argument("run")
_PAUSE_S = 0.5
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
_START = click.option(
    "-C", "start", default=".", type=click.Path(path_type=Path), help="Work in this folder."
)


@click.command()
@click.argument("run", required=False)
@click.option("--watch", is_flag=True, help="Show it anew until nobody works on it any more.")
@_JSON
@_START
def status(*, run: str | None, watch: bool, as_json: bool, start: Path) -> int:
    """Show where a run stands; without RUN, the unfinished runs, or else the last one."""
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.ground.lookup import run_ids, run_named
    from pipeline.engine.looking.result import load_result, load_results
    from pipeline.ui import report, text

    world = wiring.world(start)
    printer = text.out(wiring.environ())
    if watch:
        return _watch(world, run_named(world, run or ""), printer)
    if run is not None:
        result = load_result(world, run_named(world, run))
        if as_json:
            print_json(result)
            return 0
        report.show(printer, result)
        for hint in report.next_steps(result):
            printer.line(f"next: {hint}")
        return 0
    names = run_ids(world)
    shown, unreadable = load_results(world, names[:20])
    open_runs = [one for one in shown if one.state in {"running", "waiting", "interrupted"}]
    picked = open_runs or shown[:1]
    if as_json:
        print_json({"schema_version": 1, "runs": picked, "unreadable": unreadable})
        return 0
    if not names:
        printer.line('no run yet. Start one: trigger_workflow idea_to_feature "..."')
    for one in picked:
        report.show(printer, one, stages=bool(open_runs))
        printer.line(f"next: {report.next_steps(one)[0]}")
    for bad in unreadable:
        printer.line(f"{printer.state('unreadable')} {bad.run_id}: {bad.reason}")
    return 0


def _watch(world: Any, run: str, printer: Any) -> int:
    """Show a run each time that something has changed, until nobody works on it any more."""
    from pipeline.engine.ground.lookup import holder
    from pipeline.engine.looking.result import load_result
    from pipeline.ui import report

    shown: object = None
    while True:
        is_last = holder(world, run) is None
        result = load_result(world, run)
        now = (result.state, result.stages)
        if now != shown:
            report.show(printer, result)
            printer.line()
            shown = now
        if is_last:
            return 0
        time.sleep(_PAUSE_S)  # noqa: TID251 - a journal does not say when it grows


@click.command("list")
@_JSON
@_START
def list_runs(*, as_json: bool, start: Path) -> int:
    """List all runs of this repository, the newest first."""
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.ground.lookup import run_ids
    from pipeline.engine.looking.result import load_results
    from pipeline.ui import text

    world = wiring.world(start)
    results, unreadable = load_results(world, run_ids(world))
    if as_json:
        print_json({"schema_version": 1, "runs": results, "unreadable": unreadable})
        return 0
    rows = [
        [
            one.run_id,
            one.state.replace("_", " "),
            one.feature,
            text.seconds(one.duration_s),
            f"{one.pr.state}: {one.pr.url}" if one.pr else one.reason[:80],
        ]
        for one in results
    ]
    rows += [[bad.run_id, "unreadable", "", "", bad.reason] for bad in unreadable]
    rows.sort(key=lambda row: row[0], reverse=True)
    text.out(wiring.environ()).table(
        ["run", "state", "feature", "took", "pull request or reason"], rows
    )
    return 0


@click.command()
@_RUN
@_JSON
@_START
def show(*, run: str, as_json: bool, start: Path) -> int:
    """Show everything about one run: stages, gates, tests before and after, change, commits."""
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.ground.lookup import load_state, run_named
    from pipeline.engine.looking.result import load_result
    from pipeline.ui import report, text

    world = wiring.world(start)
    run = run_named(world, run)
    result = load_result(world, run)
    if as_json:
        print_json(result)
        return 0
    printer = text.out(wiring.environ())
    report.show(printer, result)
    report.show_outcome(printer, result, load_state(world, run), world.store())
    return 0


@click.command()
@_RUN
@click.argument("stage", required=False)
@click.option("--failed", is_flag=True, help="What the failed stages printed.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the run stops.")
@_START
def logs(*, run: str, stage: str | None, failed: bool, follow: bool, start: Path) -> int:
    """Print a run's log; with STAGE, what its newest attempt printed."""
    from pipeline import wiring
    from pipeline.core.memory import Status
    from pipeline.engine.ground.lookup import require_run, run_named, state_of
    from pipeline.engine.ground.stages import find_stage
    from pipeline.ui import text

    world = wiring.world(start)
    run = run_named(world, run)
    rundir = require_run(world, run)
    printer = text.out(wiring.environ())
    if follow:
        return _follow(world, run, printer)
    if stage is None and not failed:
        for line in (rundir.folder / "pipeline.log").read_text(errors="replace").splitlines():
            printer.line(line)
        return 0
    state = state_of(rundir)
    wanted = [name for name, node in state.nodes.items() if node.status is Status.FAILED]
    if stage is not None:
        wanted = [find_stage(state.plan.nodes.values(), stage)[0].id]
    for name in wanted:
        _print_stage(printer, rundir, state, name)
    if not wanted:
        raise NothingToDo(f"no stage of run {run} has failed")
    return 0


def _print_stage(printer: Any, rundir: Any, state: Any, name: str) -> None:
    """Print what a stage's newest attempt printed, and why it ended."""
    memory = state.nodes[name]
    for file in ("stdout.log", "stderr.log"):
        path = rundir.attempt(name, memory.attempts) / file
        if path.is_file() and path.stat().st_size:
            printer.line(f"== {name}, attempt {memory.attempts}, {file}")
            printer.line(path.read_text(errors="replace").rstrip())
    if memory.reason:
        printer.line(f"== {name}: {memory.reason}")
        for line in memory.feedback:
            printer.line(indent(line, "   "))


def _follow(world: Any, run: str, printer: Any) -> int:
    """Print a run's log as it grows, until nobody works on the run any more."""
    from pipeline.engine.ground.lookup import holder, require_run

    path, printed = require_run(world, run).folder / "pipeline.log", 0
    while True:
        is_last = holder(world, run) is None
        lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
        for line in lines[printed:]:
            printer.line(line)
        printed = len(lines)
        if is_last:
            return 0
        time.sleep(_PAUSE_S)  # noqa: TID251 - a file does not say when it grows


@click.command()
@click.argument("what", metavar="[RUN[/STAGE] | CODE]", required=False, default="")
@_JSON
@_START
def explain(*, what: str, as_json: bool, start: Path) -> int:
    """Explain the state of a run or stage, and what to do about it.

    Or what an error code of a flow means.
    """
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.ground.lookup import load_state, run_named
    from pipeline.engine.ground.stages import find_stage
    from pipeline.engine.looking import explain as reasons
    from pipeline.language import codes
    from pipeline.ui import explaining, text

    printer = text.out(wiring.environ())
    if (code := codes.find(what)) is not None:
        if as_json:
            print_json({"schema_version": 1, "code": code})
        else:
            explaining.show_code(printer, code)
        return 0
    world = wiring.world(start)
    if codes.looks_like_one(what):
        raise UsageProblem(f"there is no error code {what}", codes.nearest(what))
    word, _, stage = what.partition("/")
    run = run_named(world, word)
    if stage:
        stage = find_stage(load_state(world, run).plan.nodes.values(), stage)[0].id
    explanation = reasons.explain(world, run, stage)
    if as_json:
        print_json(explanation)
        return 0
    explaining.show_explanation(printer, explanation)
    return 0


@click.command()
@_GIVEN_RUN
@_START
def rollback(*, run: str, start: Path) -> int:
    """Remove what a run made and nobody touched: branch, pull request, workspaces, run folder."""
    from pipeline import wiring
    from pipeline.engine.ground.lookup import run_named
    from pipeline.engine.steering.rollback import roll_back
    from pipeline.ui import text

    printer, world = text.err(wiring.environ()), wiring.world(start)
    for line in roll_back(world, run_named(world, run)):
        printer.line(line)
    return 0


@click.command("locks")
@_JSON
@_START
def show_locks(*, as_json: bool, start: Path) -> int:
    """Show the locks of this checkout: held or free, by whom, since when."""
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.files import locks
    from pipeline.files.rundir import LOCKS
    from pipeline.ui import text

    world = wiring.world(start)
    views = locks.inspect_all(world.user.root / LOCKS)
    if as_json:
        print_json({"schema_version": 1, "locks": views})
        return 0
    rows = []
    for view in views:
        who = view.holder
        rows.append(
            [
                view.name,
                "held" if view.held else "free",
                *(
                    (who.agent, who.run_id, str(who.pid), who.timestamp)
                    if who
                    else ("", "", "", "")
                ),
            ]
        )
    text.out(wiring.environ()).table(
        ["lock", "state", "by (or last by)", "run", "pid", "since"], rows
    )
    return 0
