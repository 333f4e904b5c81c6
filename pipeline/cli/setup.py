"""`pipeline init | doctor`: take a repository into use, and see whether everything is ready."""

from pathlib import Path

import click

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
_START = click.option(
    "-C", "start", default=".", type=click.Path(path_type=Path), help="Work in this folder."
)


@click.command()
@click.option(
    "--update", is_flag=True, help="Merge what this version would write into what is there."
)
@click.option(
    "--eject-prompts",
    is_flag=True,
    help="Copy the shipped prompts into agent_prompts/, to change them.",
)
@click.option(
    "--dry-run", is_flag=True, help="Show what was found and what would be written; write nothing."
)
@_JSON
@_START
def init(*, update: bool, eject_prompts: bool, dry_run: bool, as_json: bool, start: Path) -> int:
    """Look at a repository and write its agents/flow.yaml.

    Asks nothing, and overwrites nothing of yours.
    """
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.starting import adopt
    from pipeline.ui import setup, text

    world = wiring.world(start)
    act = adopt.update if update else adopt.adopt
    written = act(world, eject_prompts=eject_prompts, dry=dry_run)
    if as_json:
        print_json({"schema_version": 1, "dry_run": dry_run, **_plain(written)})
        return 0
    setup.show(text.out(wiring.environ()), written, dry=dry_run)
    return 0


@click.command()
@click.option(
    "--quick", is_flag=True, help="Leave out what takes long: set-up, tests and checks of the base."
)
@click.option(
    "--base-branch", default="", metavar="BRANCH", help="Branch that runs are to start from."
)
@_JSON
@_START
def doctor(*, quick: bool, base_branch: str, as_json: bool, start: Path) -> int:
    """Check everything a run needs: git, flow, agents, push, disk.

    Then set-up, tests and checks of the base.
    """
    from pipeline import wiring
    from pipeline.cli.working import print_json
    from pipeline.engine.starting import doctor as examination
    from pipeline.ui import setup, text
    from pipeline.ui.board import Board

    printer = text.out(wiring.environ())
    checks = []
    # Steps are no data: piped, they go to stderr.
    is_one = printer.is_terminal and not as_json
    with Board(printer if is_one else text.err(wiring.environ())) as board:
        world = wiring.world(start, doing=None if as_json else board)
        for check in examination.examine(world, quick=quick, base_branch=base_branch):
            checks.append(check)
            for line in () if as_json else setup.check_lines(printer, check):
                (board.print if is_one else printer.line)(line)
    status = examination.exit_code(checks)
    if as_json:
        rows = [
            {"name": one.name, "status": one.status, "text": one.text, "hint": one.hint}
            for one in checks
        ]
        print_json({"schema_version": 1, "exit_code": status, "checks": rows})
    else:
        setup.show_end(printer, checks)
    return status


def _plain(written: object) -> dict[str, object]:
    import msgspec

    return dict(msgspec.to_builtins(written))
