"""`trigger_workflow WORKFLOW IDEA`, and its other faces."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from pipeline.errors import UsageProblem


@click.command("trigger_workflow", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("workflow", required=False, default="")
@click.argument("words", nargs=-1, metavar="[IDEA | - | RUN_ID FEATURE_NAME]")
@click.option(
    "--idea-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read the idea from a file.",
)
@click.option("--feature", default="", help="Name of the feature (default: made from the idea).")
@click.option(
    "--base-branch",
    default="",
    help="Branch to start from (default: BASE_BRANCH, the remote's, the current).",
)
@click.option(
    "--input",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A value for an input of the workflow.",
)
@click.option(
    "--dry-run", is_flag=True, help="Show the plan and the prompts; start nothing, change nothing."
)
@click.option("--list", "listed", is_flag=True, help="List the workflows of the flow.")
@click.option("--no-pr", is_flag=True, help="Branch and push, but open no pull request.")
@click.option(
    "--cassette",
    type=click.Path(file_okay=False, path_type=Path),
    help="Play the agents from a folder; no model is called.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
@click.option(
    "-C", "start", default=".", type=click.Path(path_type=Path), help="Work in this folder."
)
def trigger(
    *,
    workflow: str,
    words: tuple[str, ...],
    idea_file: Path | None,
    feature: str,
    base_branch: str,
    given: tuple[str, ...],
    dry_run: bool,
    listed: bool,
    no_pr: bool,
    cassette: Path | None,
    as_json: bool,
    start: Path,
) -> int:
    """Start a workflow of agents/flow.yaml, and see it through to its pull request.

    \b
    Examples:
      trigger_workflow idea_to_feature "add rate limiting to login"
      trigger_workflow idea_to_feature --idea-file idea.md
      echo "add rate limiting" | trigger_workflow idea_to_feature -
      trigger_workflow idea_to_feature 20260102-030405-0a1b2c3d rate-limiting
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from pipeline import wiring
    from pipeline.cli.working import work_on
    from pipeline.engine.ground import flows
    from pipeline.engine.starting import runs
    from pipeline.ui import text
    from pipeline.ui.board import Board

    printer = text.err(wiring.environ())
    board = Board(printer)
    world = wiring.world(start, lambda _: board)
    if listed or not workflow:
        return _list(flows.check(world, flows.read(world)).workflows, is_wanted=listed)
    run_id, idea, feature = _ask(words, idea_file, feature, partial(runs.prepared_idea, world))
    _require_cassette(cassette)
    if run_id and world.rundir(run_id).exists:
        return work_on(start, run_id, as_json=as_json)
    order = runs.RunOrder(
        workflow=workflow, idea=idea, feature=feature, run_id=run_id, base_branch=base_branch,
        publish=not no_pr, cassette=str(cassette.resolve()) if cassette else "",
        inputs=_inputs(given),
    )  # fmt: skip
    flow = flows.read(world)
    if dry_run:
        return _rehearse(world, flow, order, as_json=as_json)
    return _begin(world, flow, order, printer, as_json=as_json)


def _list(workflows: dict[str, Any], *, is_wanted: bool) -> int:
    """Print the workflows with what they are for. Raises `UsageProblem` if one had to be named."""
    from pipeline import wiring
    from pipeline.ui import text

    if not is_wanted:
        raise UsageProblem(
            f"which workflow? there are {', '.join(workflows)}",
            'For example: trigger_workflow idea_to_feature "add rate limiting to login"',
        )
    rows = [[name, one.description] for name, one in workflows.items()]
    text.out(wiring.environ()).table(["workflow", "what it is for"], rows)
    return 0


def _begin(world: Any, flow: Any, order: Any, printer: Any, *, as_json: bool) -> int:
    """Begin the run that is ordered, and work on it."""
    from pipeline.cli.working import work_on
    from pipeline.engine.ground import flows
    from pipeline.engine.starting import preflight, runs
    from pipeline.engine.steering import clean

    if not order.cassette:
        price = preflight.price(world, flows.compiled(world, flow, order.workflow))
        printer.line(f"price: {price}")
    name = runs.start(world, flow, order)
    for line in clean.automatic(world):
        printer.line(line)
    return work_on(world.user.root, name, as_json=as_json)


def _require_cassette(folder: Path | None) -> None:
    if folder is not None and not folder.is_dir():
        raise UsageProblem(
            f"there is no cassette {folder}", "A cassette is a folder: STAGE/1/answer.md and so on"
        )


def _rehearse(world: Any, flow: Any, order: Any, *, as_json: bool) -> int:
    """Show what the run would do."""
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.starting.dry_run import rehearse
    from pipeline.ui import flow_view, text

    plan, prompts = rehearse(world, flow, order)
    if as_json:
        print_json({"schema_version": 1, "plan": flow_view.shown(plan), "prompts": prompts})
        return 0
    printer = text.out(wiring.environ())
    flow_view.show_plan(printer, plan)
    for stage, prompt in prompts.items():
        printer.line(f"\n== prompt of {stage}")
        printer.line(prompt)
    return 0


def _inputs(given: tuple[str, ...]) -> dict[str, str]:
    """Take names and values apart."""
    values: dict[str, str] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageProblem(f"--input {word!r} is not NAME=VALUE")
        values[name] = value
    return values


def _ask(
    words: tuple[str, ...], idea_file: Path | None, feature: str, prepared: Callable[[str], str]
) -> tuple[str, str, str]:
    """Take run id, idea and feature name out of what was typed.

    `prepared` reads a run's prepared request.
    """
    from pipeline.engine.starting import ideas
    from pipeline.ids import is_run_id

    run_id = words[0] if words and is_run_id(words[0]) else ""
    rest = words[1:] if run_id else words
    if len(rest) > 1:
        raise UsageProblem(
            f"{len(rest)} words where one idea was expected", "Put the idea in quotes"
        )
    typed = ideas.of_words(rest[0]) if rest else ""
    if typed == "-":
        return run_id, ideas.read(sys.stdin.buffer, "standard input"), feature
    if idea_file is not None:
        if typed and not run_id:
            raise UsageProblem("an idea and --idea-file", "Give one of them")
        return run_id, ideas.read_file(idea_file), feature or (typed if run_id else "")
    if run_id:
        return run_id, prepared(run_id) or typed, feature or typed
    return run_id, typed, feature
