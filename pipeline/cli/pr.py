"""`pipeline pr list | show | diff | merge`."""

from pathlib import Path

import click

_START = click.option(
    "-C", "start", default=".", type=click.Path(path_type=Path), help="Work in this folder."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
_NUMBER = click.argument("number", type=int)


@click.group()
def pr() -> None:
    """Pull requests of the local forge: list, show, diff, merge."""


@pr.command("list")
@_JSON
@_START
def list_pulls(*, as_json: bool, start: Path) -> int:
    """List all pull requests, the newest first."""
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.publishing import pulls
    from pipeline.forges.local import newest_first
    from pipeline.ui import text

    listed = newest_first(pulls.forge(wiring.world(start)).list())
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
@_NUMBER
@_JSON
@_START
def show(*, number: int, as_json: bool, start: Path) -> int:
    """Show one pull request: its text and where it stands."""
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.publishing import pulls
    from pipeline.ui import text

    pull = pulls.forge(wiring.world(start)).get(number)
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
@_NUMBER
@_START
def diff(*, number: int, start: Path) -> int:
    """Print the change of one pull request."""
    from pipeline import wiring
    from pipeline.engine.publishing import pulls
    from pipeline.ui import text

    world = wiring.world(start)
    data = pulls.diff(world, pulls.forge(world).get(number))
    text.out(wiring.environ()).line(data.decode("utf-8", "replace").rstrip("\n"))
    return 0


@pr.command()
@_NUMBER
@_START
def merge(*, number: int, start: Path) -> int:
    """Merge one pull request into its base branch, on the remote."""
    from pipeline import wiring
    from pipeline.engine.publishing import pulls
    from pipeline.ui import text

    world = wiring.world(start)
    pull = pulls.forge(world).get(number)
    commit = pulls.merge(world, pull)
    printer = text.out(wiring.environ())
    printer.line(f"merged {pull.head} into {pull.base} as {commit[:12]}")
    printer.line(f"bring it into your checkout: git pull {world.user.remote()} {pull.base}")
    return 0
