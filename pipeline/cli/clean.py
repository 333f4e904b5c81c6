"""`pipeline clean`: taking away runs that are over for long."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--older-than",
    metavar="AGE",
    help="How long they are over: 12h, 7d (default: AGENT_RUN_RETENTION).",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@click.option(
    "-C", "start", default=".", type=click.Path(path_type=Path), help="Work in this folder."
)
def clean(*, older_than: str | None, dry_run: bool, as_json: bool, start: Path) -> int:
    """Remove folders of runs that are over for long.

    Never the latest, one that can go on, or a branch.

    Work that is not published is kept first, as a ref and as patches.
    """
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.core.settings import retention_s
    from pipeline.engine.steering import clean as cleaning
    from pipeline.ui import text

    world = wiring.world(start)
    age_s = (
        world.settings.retention_s
        if older_than is None
        else retention_s(older_than, "--older-than")
    )
    done = cleaning.clean(world, age_s, dry=dry_run)
    if as_json:
        print_json(
            {"schema_version": 1, "dry_run": dry_run, "removed": done.removed, "kept": done.kept}
        )
        return 0
    printer = text.out(wiring.environ())
    for one in done.removed:
        printer.line(
            f"{'would remove' if dry_run else 'removed'} {one.run_id} "
            f"({one.size_bytes / 1e6:.1f} MB)"
        )
        if one.rescued is not None:
            printer.line(f"  {one.rescued}")
    for kept in done.kept:
        printer.line(f"kept {kept.run_id}: {kept.reason}")
    if not done.removed:
        printer.line("nothing to remove")
    return 0
