"""`pipeline open RUN`: a folder in which a person edits what a run has made so far."""

from pathlib import Path

import click


@click.command("open")
@click.argument("run", required=False, default="")
@click.option(
    "--mine",
    is_flag=True,
    help="Put the edits in the folder on top of what the run made of the same files.",
)
@click.option("--print-path", is_flag=True, help="Print nothing but the folder.")
@click.option(
    "-C", "start", default=".", type=click.Path(path_type=Path), help="Work in this folder."
)
def open_run(*, run: str, mine: bool, print_path: bool, start: Path) -> int:
    """Make a folder with the run's newest tree.

    What you edit in it becomes a commit of yours on resume.
    """
    from pipeline import wiring
    from pipeline.engine.ground.lookup import run_named
    from pipeline.engine.steering.open import open_folder
    from pipeline.ui import text

    world = wiring.world(start)
    run = run_named(world, run)
    folder, said = open_folder(world, run, mine=mine)
    text.out(wiring.environ()).line(str(folder))
    if not print_path:
        text.err(wiring.environ()).line(f"{said}; edit there, then: pipeline resume {run}")
    return 0
