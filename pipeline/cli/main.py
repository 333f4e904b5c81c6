"""The three commands: `trigger_workflow`, `invoke_agent` and `pipeline`.

Sub-commands are imported when they are called; this module imports nothing but click, the standard
library and our errors, so that help and completion stay quick.
"""

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import click

from pipeline import __version__
from pipeline.errors import Problem, of_system

COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": (
        "pipeline.cli.setup:init",
        "Look at a repository and write its agents/flow.yaml.",
    ),
    "doctor": ("pipeline.cli.setup:doctor", "Check that everything a run needs is there."),
    "demo": (
        "pipeline.cli.demo:demo",
        "See it work: sample repository, scripted agents, a real pull request.",
    ),
    "status": ("pipeline.cli.runs:status", "Where a run stands; without a run: what is going on."),
    "list": ("pipeline.cli.runs:list_runs", "All runs, the newest first."),
    "show": ("pipeline.cli.runs:show", "Everything about one run."),
    "logs": ("pipeline.cli.runs:logs", "The log of a run, or what one stage printed."),
    "explain": (
        "pipeline.cli.runs:explain",
        "Why a run or stage stands where it stands; what an error code means.",
    ),
    "open": ("pipeline.cli.open:open_run", "A folder to edit what a run has made so far."),
    "resume": ("pipeline.cli.steer:resume", "Go on with a run that was stopped, parked or killed."),
    "answer": ("pipeline.cli.steer:answer", "Answer an approval or a question of an agent."),
    "retry": ("pipeline.cli.steer:retry", "Run a stage again, with everything that builds on it."),
    "fork": ("pipeline.cli.steer:fork", "Go on from a stage in a run of its own."),
    "cancel": ("pipeline.cli.steer:cancel", "End a run, or one stage of it."),
    "rollback": (
        "pipeline.cli.runs:rollback",
        "Remove a run's branch, workspaces and folder; close its pull request.",
    ),
    "clean": ("pipeline.cli.clean:clean", "Remove folders of runs that ended long ago."),
    "locks": ("pipeline.cli.runs:show_locks", "Which locks are held, by whom, since when."),
    "pr": ("pipeline.cli.pr:pr", "Pull requests: list, show, diff, merge, close."),
    "flow": ("pipeline.cli.flow:flow", "The flow file: check, show, graph, schema."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and first lines without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command when it is wanted."""
        if cmd_name not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(cmd_name, COMMANDS, n=1)
            hint = f"Did you mean: pipeline {near[0]}?" if near else "See: pipeline --help"
            ctx.fail(f"There is no command {cmd_name!r}. {hint}")
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the table of commands from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, name="pipeline", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="idea-to-pr")
@click.option(
    "-C", "folder", type=click.Path(exists=True, file_okay=False), help="Work in this folder."
)
def group(folder: str | None) -> None:
    """From an idea to a reviewed pull request, by a declared pipeline of coding agents.

    Start one with: trigger_workflow idea_to_feature "add rate limiting to login"
    """
    if folder is not None:
        os.chdir(folder)


def pipeline() -> None:
    """Run `pipeline`."""
    guarded(group)


def trigger_workflow() -> None:
    """Run `trigger_workflow`."""
    guarded(_command("pipeline.cli.trigger:trigger"))


def invoke_agent() -> None:
    """Run `invoke_agent`."""
    guarded(_command("pipeline.cli.invoke:invoke"))


def _command(name: str) -> click.Command:
    module, _, attribute = name.partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    return command


def guarded(command: Callable[..., Any]) -> None:
    """Run a command; turn what goes wrong into one message and an exit code. Does not return."""
    try:
        status = command(standalone_mode=False)
    except click.exceptions.Abort:
        _say("stopped")
        sys.exit(130)
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except Problem as exc:
        _say_problem(exc)
        sys.exit(exc.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as exc:
        if (problem := of_system(exc)) is None:
            sys.exit(_fault(exc))
        _say_problem(problem)
        sys.exit(problem.exit_code)
    except Exception as exc:  # noqa: BLE001 - the one place where a fault of ours leaves
        sys.exit(_fault(exc))
    sys.exit(status if isinstance(status, int) else 0)


def _say_problem(problem: Problem) -> None:
    _say(problem.what)
    from pipeline.core.plain_text import shown

    for line in problem.hint.splitlines():
        click.echo(_without_secrets(f"  {shown(line)}"), err=True)


def _say(text: str) -> None:
    from pipeline.core.plain_text import shown

    prefix = "" if text.startswith("error[") else "error: "
    click.echo(_without_secrets(f"{prefix}{shown(text)}"), err=True)


def _without_secrets(text: str) -> str:
    from pipeline import wiring
    from pipeline.ui.text import err

    return err(wiring.environ()).without_secrets(text)


def _fault(exc: Exception) -> int:
    import traceback

    _say(f"an error in the pipeline itself: {type(exc).__name__}: {exc}")
    click.echo(_without_secrets("".join(traceback.format_exception(exc))), err=True)
    click.echo("  What was done is kept. Please report this with the lines above.", err=True)
    return 101
