"""`pipeline pr list | show | diff | merge | close`."""

from pathlib import Path

import click

_START = click.option(
    "-C", "start", default=".", type=click.Path(path_type=Path), help="Work in this folder."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
_NUMBER = click.argument("number", type=int)
_SOME_NUMBER = click.argument("number", type=int, required=False)


@click.group()
def pr() -> None:
    """Pull requests of the local forge: list, show, diff, merge, close."""


@pr.command("list")
@_JSON
@_START
def list_pulls(*, as_json: bool, start: Path) -> int:
    """List all pull requests, the newest first."""
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.ground.forge import forge
    from pipeline.forges.local import newest_first
    from pipeline.ui import text

    listed = newest_first(forge(wiring.world(start)).list())
    if as_json:
        print_json({"schema_version": 1, "pull_requests": listed})
        return 0
    rows = [
        [str(one.number), one.state + (", draft" if one.draft else ""), one.title, one.head]
        for one in listed
    ]
    text.out(wiring.environ()).table(["number", "state", "title", "branch"], rows)
    return 0


@pr.command()
@_SOME_NUMBER
@_JSON
@_START
def show(*, number: int | None, as_json: bool, start: Path) -> int:
    """Show one pull request, the newest without NUMBER: its text and where it stands."""
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.ground.forge import forge
    from pipeline.engine.publishing import pulls
    from pipeline.ui import text

    pull = pulls.numbered(forge(wiring.world(start)), number)
    if as_json:
        print_json(pull)
        return 0
    printer = text.out(wiring.environ())
    printer.line(
        f"{pull.title}  ({pull.state}{', draft' if pull.draft else ''}, {pull.head} into "
        f"{pull.base})"
    )
    printer.line()
    printer.line(pull.body)
    return 0


@pr.command()
@_SOME_NUMBER
@click.option("--stat", is_flag=True, help="Only which files, and how much.")
@_START
def diff(*, number: int | None, stat: bool, start: Path) -> int:
    """Print the change of one pull request, the newest without NUMBER."""
    from pipeline import wiring
    from pipeline.engine.ground.forge import forge
    from pipeline.engine.publishing import pulls
    from pipeline.ui import text

    world = wiring.world(start)
    data = pulls.diff(world, pulls.numbered(forge(world), number), stat=stat)
    text.out(wiring.environ()).line(data.decode("utf-8", "replace").rstrip("\n"))
    return 0


@pr.command()
@_NUMBER
@_START
def merge(*, number: int, start: Path) -> int:
    """Merge one pull request into its base branch, on the remote."""
    from pipeline import wiring
    from pipeline.engine.ground.forge import forge
    from pipeline.engine.publishing import pulls
    from pipeline.ui import text

    world = wiring.world(start)
    pull = forge(world).get(number)
    commit = pulls.merge(world, pull)
    printer = text.out(wiring.environ())
    printer.line(f"merged {pull.head} into {pull.base} as {commit[:12]}")
    remote = world.user.remote()
    printer.line(
        f"bring it into your checkout: git fetch {remote} && git merge {remote}/{pull.base}"
    )
    return 0


@pr.command()
@_NUMBER
@_START
def close(*, number: int, start: Path) -> int:
    """Close one pull request without merging it; its branch stays."""
    from pipeline import wiring
    from pipeline.engine.ground.forge import forge
    from pipeline.engine.publishing import pulls
    from pipeline.ui import text

    pull = pulls.close(forge(wiring.world(start)), number)
    text.out(wiring.environ()).line(f"closed {pull.number}; its branch {pull.head} stays")
    return 0
