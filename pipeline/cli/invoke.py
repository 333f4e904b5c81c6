"""`invoke_agent AGENT --run-id R`: run or repeat one stage of a run."""

from pathlib import Path

import click

from pipeline.errors import UsageProblem


@click.command("invoke_agent", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("agent")
@click.option("--run-id", required=True, help="The run; an unknown id starts one.")
@click.option("--mode", default="", help="Which of a role's stages: create, verify, final, ...")
@click.option("--feature", default="", help="Name of the feature, for a new run.")
@click.option(
    "--input",
    "input_dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of extra inputs.",
)
@click.option(
    "--output",
    "output_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Copy the outputs there.",
)
@click.option("--base-branch", default="", help="Branch to start from, for a new run.")
@click.option(
    "--create-pr", type=bool, default=None, help="Whether publishing opens a pull request."
)
@click.option("--retry", type=bool, default=False, help="true: again, although it is done.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's result as JSON on stdout.")
@click.option(
    "-C", "start", default=".", type=click.Path(path_type=Path), help="Work in this folder."
)
def invoke(
    *,
    agent: str,
    run_id: str,
    mode: str,
    feature: str,
    input_dir: Path | None,
    output_dir: Path | None,
    base_branch: str,
    create_pr: bool | None,
    retry: bool,
    as_json: bool,
    start: Path,
) -> int:
    """Run one stage of a run, or repeat it with --retry true; AGENT is a stage or a role.

    The rest of the run is left as it is; go on with: pipeline resume RUN
    """
    from pipeline import wiring
    from pipeline.cli.working import work_on
    from pipeline.core.events import Invoked
    from pipeline.engine.ground import flows
    from pipeline.engine.ground.lookup import load_state
    from pipeline.engine.ground.stages import find_invoked
    from pipeline.engine.running.inputs import GIVEN
    from pipeline.engine.starting import runs
    from pipeline.files.rundir import copy_outputs
    from pipeline.ids import require_run_id

    world = wiring.world(start)
    rundir = world.rundir(require_run_id(run_id))
    if not rundir.exists:
        order = runs.RunOrder(
            workflow="idea_to_feature",
            idea=_idea(run_id, runs.prepared_idea(world, run_id) or feature),
            feature=feature,
            run_id=run_id,
            base_branch=base_branch,
            publish=create_pr is not False,
        )
        runs.start(world, flows.read(world), order)
    stage = find_invoked(load_state(world, run_id), agent, mode, retry=retry)
    if input_dir is not None:
        copy_outputs(input_dir, rundir.accepted(GIVEN))
    invoked = Invoked(at=world.clock(), stage=stage, publish=create_pr)
    status = work_on(start, run_id, as_json=as_json, first=[invoked])
    if output_dir is not None:
        copy_outputs(rundir.accepted(stage), output_dir)
    click.echo(f"{stage}: see {rundir.stage(stage)}; go on: pipeline resume {run_id}", err=True)
    return status


def _idea(run_id: str, idea: str) -> str:
    """Return what a new run is about. Raises `UsageProblem` when nothing says so."""
    if idea.strip():
        return idea
    raise UsageProblem(
        f"there is no run {run_id}, and nothing says what a new one is about",
        "Add --feature NAME",
    )
