"""`pipeline demo`: the whole pipeline on a sample repository, with scripted agents."""

import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click

from pipeline.errors import InternalError, UsageProblem

_NO_MODEL = (
    "No model is called: a cassette plays the agents. Workspaces, edits, tests, commits and "
    "push are real."
)
_WRONG_AT_FIRST = "The developer's first round is wrong on purpose, so that the loop shows."
_WORKFLOW = "idea_to_feature"


@click.command()
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Make it in this new folder."
)
@click.option(
    "--crash-after",
    default="",
    metavar="STAGE",
    help="Kill the pipeline (SIGKILL) right after this stage, then resume.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
def demo(*, keep: Path | None, crash_after: str, as_json: bool) -> int:
    """Turn one idea into one pull request in a sample repository.

    No key, server or account is needed.
    """
    from pipeline import wiring
    from pipeline.cli.working import work_on
    from pipeline.demo import stage_set
    from pipeline.engine.ground import flows
    from pipeline.engine.ground.stages import find_stage
    from pipeline.engine.starting.runs import RunOrder, start
    from pipeline.ui import text

    tools = _tools(wiring.environ())
    say = text.err(wiring.environ()) if as_json else text.out(wiring.environ())
    say.line(f"{_NO_MODEL}\n{_WRONG_AT_FIRST}\n")
    folder, idea = _folder(keep), stage_set.idea()
    repository, remote = stage_set.set_up(folder, wiring.shipped())
    world = wiring.world(repository, extra=tools)
    flow = flows.read(world)
    if crash_after:
        leaves = flows.compiled(world, flow, _WORKFLOW).leaves()
        stages = [node for node in leaves if node.workflow == _WORKFLOW]
        crash_after = find_stage(stages, crash_after, where=_WORKFLOW)[0].id
    for label, value in (("repository", repository), ("remote", remote), ("idea", idea)):
        say.line(f"{label:<13} {value}")
    say.line()
    cassette = str(stage_set.CASSETTE)
    order = RunOrder(workflow=_WORKFLOW, idea=idea, feature="risk-monitor", cassette=cassette)
    name = start(world, flow, order)
    if crash_after:
        _crash(repository, name, crash_after, tools)
        say.line(f"\nkilled (SIGKILL) right after {crash_after}; now: pipeline resume {name}\n")
    if as_json:
        return _finish_json(repository, remote, name, tools)
    status = work_on(repository, name, as_json=False, hints=False, extra=tools)
    command = wiring.environ().get("PIPELINE_COMMAND", "pipeline")
    for label, words in (
        ("the text", "pr show 1"),
        ("the change", "pr diff 1"),
        ("the run", f"show {name}"),
        ("merge it", "pr merge 1"),
    ):
        say.line(f"{label:<13} {command} {words} -C {repository}")
    say.line(f'{"your own":<13} README.md, "Your own repository"')
    return status


def _finish_json(repository: Path, remote: Path, name: str, tools: Mapping[str, str]) -> int:
    """Work on the run to its end and print its result object, with the demo's two folders."""
    import msgspec

    from pipeline import wiring
    from pipeline.cli.working import print_json, work_on
    from pipeline.engine.looking.result import load_result

    status = work_on(repository, name, as_json=False, shown=False, extra=tools)
    result = load_result(wiring.world(repository), name)
    print_json(
        {**msgspec.to_builtins(result), "repository": str(repository), "remote": str(remote)}
    )
    return status


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="idea-to-pr-demo-"))
    if keep.exists() and any(keep.iterdir()):
        raise UsageProblem(f"{keep} is not empty", "Name a new folder: pipeline demo --keep demo")
    keep.mkdir(parents=True, exist_ok=True)
    return keep.resolve()


def _tools(environ: Mapping[str, str]) -> dict[str, str]:
    """Put this Python first on the PATH.

    It has the pytest that the sample needs, and none of the plugins around it.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return {"PATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _crash(repository: Path, name: str, stage: str, tools: Mapping[str, str]) -> None:
    """Work on the run in a child process that kills itself right after a stage."""
    from pipeline.cli.working import work_on
    from pipeline.files import failpoints

    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        failpoints.arm(f"stage.recorded@{stage}")
        work_on(repository, name, as_json=False, extra=tools)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WTERMSIG(status) != signal.SIGKILL:
        raise InternalError(
            f"the process was to be killed after {stage}, and ended with status {status}"
        )
