"""`pipeline flow check | show`."""

from pathlib import Path

import click

_START = click.option("-C", "start", default=".", type=click.Path(path_type=Path), help="Work in this folder.")


@click.group()
def flow() -> None:
    """The flow file: check it, show it."""


@flow.command()
@_START
def check(*, start: Path) -> int:
    """Read agents/flow.yaml and name everything that is wrong with it, with line and mend."""
    from pipeline import wiring
    from pipeline.engine import flows
    from pipeline.ui import text

    found = flows.check(wiring.world(start)).flow
    stages = sum(1 for workflow in found.workflows.values() for _ in workflow.stages)
    text.out(wiring.environ()).line(
        f"{flows.FLOW} is sound: {len(found.workflows)} workflow(s), {stages} stage(s) at the top"
    )
    return 0


@flow.command()
@click.option("--shipped", is_flag=True, help="The flow that comes with this version, as a start for your own.")
@_START
def show(*, shipped: bool, start: Path) -> int:
    """Print the flow file."""
    from pipeline import wiring
    from pipeline.engine import flows

    if shipped:
        click.echo((wiring.shipped() / flows.FLOW).read_text(), nl=False)
        return 0
    click.echo(flows.check(wiring.world(start)).text, nl=False)
    return 0
