"""`pipeline flow check | show | graph | schema`."""

from pathlib import Path

import click

_START = click.option(
    "-C", "start", default=".", type=click.Path(path_type=Path), help="Work in this folder."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.group()
def flow() -> None:
    """The flow file: check it, show it, draw it."""


@flow.command()
@click.option(
    "--explain-parallel",
    "pair",
    nargs=2,
    metavar="STAGE STAGE",
    help="Say whether two stages may run at once, and why.",
)
@_JSON
@_START
def check(*, pair: tuple[str, str] | None, as_json: bool, start: Path) -> int:
    """Read agents/flow.yaml and name everything that is wrong with it, with line and hint."""
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.ground import flows
    from pipeline.language.flow_source import FlowProblem
    from pipeline.ui import text

    world = wiring.world(start)
    source = flows.read(world)
    printer = text.out(wiring.environ())
    try:
        flow = flows.check(world, source)
    except FlowProblem as problem:
        if as_json:
            print_json({"schema_version": 1, "sound": False, "errors": problem.diagnostics})
        raise
    if pair is not None:
        answers = flows.why_parallel(flow, *pair)
        if as_json:
            print_json({"schema_version": 1, "pair": pair, "workflows": answers})
            return 0
        for answer in answers:
            printer.line(
                f"{answer.workflow}: {'yes, they may run at once' if answer.parallel else 'no'}"
            )
            for reason in answer.reasons:
                printer.line(f"  {reason}")
        return 0
    stages = sum(1 for name in flow.workflows for _ in flows.compiled(world, source, name).leaves())
    if as_json:
        print_json(
            {
                "schema_version": 1,
                "sound": True,
                "workflows": list(flow.workflows),
                "stages": stages,
            }
        )
        return 0
    printer.line(f"{flows.FLOW} is valid: {len(flow.workflows)} workflow(s), {stages} stage(s)")
    return 0


@flow.command()
@click.argument("workflow", required=False)
@click.option(
    "--shipped",
    is_flag=True,
    help="The flow that comes with this version, as a start for your own.",
)
@_JSON
@_START
def show(*, workflow: str | None, shipped: bool, as_json: bool, start: Path) -> int:
    """Show a workflow's plan in order: who, what it may write, gates, limits.

    Without one, print the flow file.
    """
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.ground import flows
    from pipeline.ui import flow_view, text

    if shipped:
        click.echo((wiring.shipped() / flows.FLOW).read_text(), nl=False)
        return 0
    world = wiring.world(start)
    source = flows.read(world)
    if workflow is None:
        flows.check(world, source)
        click.echo(source.text, nl=False)
        return 0
    plan = flows.compiled(world, source, workflow)
    if as_json:
        print_json(flow_view.shown(plan))
    else:
        flow_view.show_plan(text.out(wiring.environ()), plan)
    return 0


@flow.command()
@click.argument("workflow")
@click.option(
    "--format",
    "form",
    type=click.Choice(["tree", "mermaid", "svg"]),
    default="tree",
    help="As what.",
)
@_START
def graph(*, workflow: str, form: str, start: Path) -> int:
    """Draw a workflow: as a tree on the terminal, as Mermaid, or as an SVG picture."""
    from pipeline import wiring
    from pipeline.engine.ground import flows
    from pipeline.ui import text

    world = wiring.world(start)
    plan = flows.compiled(world, flows.read(world), workflow)
    printer = text.out(wiring.environ())
    if form == "svg":
        from pipeline.ui.flow_svg import svg

        click.echo(svg(plan), nl=False)
        return 0
    from pipeline.ui import flow_view

    lines = (
        flow_view.mermaid(plan)
        if form == "mermaid"
        else flow_view.tree(plan, unicode=printer.unicode)
    )
    for line in lines:
        printer.line(line)
    return 0


@flow.command()
def schema() -> int:
    """Print the flow language as JSON Schema, for editors.

    In the flow file: # yaml-language-server: $schema=PATH
    """
    from pipeline.cli.working import print_json
    from pipeline.language.flow_schema import flow_schema

    print_json(flow_schema())
    return 0
