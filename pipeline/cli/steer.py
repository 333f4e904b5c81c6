"""`pipeline resume | answer | retry | fork | cancel`: having a run go on, go back, or end."""

from pathlib import Path

import click

from pipeline.errors import UsageProblem

_RUN = click.argument("run")
_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print the run's result as JSON on stdout."
)
_START = click.option(
    "-C", "start", default=".", type=click.Path(path_type=Path), help="Work in this folder."
)
_RELOAD = click.option(
    "--reload",
    "reloaded",
    is_flag=True,
    help="Take flow and prompts as they are in the checkout now.",
)


def _named(start: Path, word: str) -> str:
    """Return the id of the run that a word means."""
    from pipeline import wiring
    from pipeline.engine.ground.lookup import run_named

    return run_named(wiring.world(start), word)


@click.command()
@click.argument("run", required=False, default="")
@click.option("--usd", type=click.FloatRange(min=0), help="Another limit in US dollars.")
@click.option("--tokens", help="Another limit in tokens: 200k, 5M.")
@click.option("--wall", help="Another limit of time worked on it: 90m, 3h.")
@_RELOAD
@_JSON
@_START
def resume(
    *,
    run: str,
    usd: float | None,
    tokens: str | None,
    wall: str | None,
    reloaded: bool,
    as_json: bool,
    start: Path,
) -> int:
    """Go on with a run; finished stages do not run again, unless what they stand on has changed."""
    from pipeline import wiring
    from pipeline.cli.working import work_on
    from pipeline.core.events import LimitsRaised
    from pipeline.language.flow_file import parse_count, parse_duration

    count = parse_count(tokens) if tokens is not None else None
    wall_s = parse_duration(wall) if wall is not None else None
    if tokens is not None and count is None:
        raise UsageProblem(f"--tokens {tokens!r} is not a number like 5000, 200k or 5M")
    if wall is not None and wall_s is None:
        raise UsageProblem(f"--wall {wall!r} is not a time like 90m or 3h")
    raised = LimitsRaised(at=wiring.now(), usd=usd, tokens=count, wall_s=wall_s)
    some = any(value is not None for value in (usd, count, wall_s))
    run = _named(start, run)
    return work_on(start, run, as_json=as_json, first=[raised] if some else [], reload=reloaded)


@click.command()
@_RUN
@click.argument(
    "word", required=False, type=click.Choice(["approve", "revise", "reply", "stop", "allow"])
)
@click.argument("path", required=False, default="")
@click.option(
    "-m",
    "--comment",
    default="",
    help="What is to be revised, or why; the reply to an agent's question.",
)
@click.option("--stage", default="", help="Which question, when several are open.")
@click.option(
    "--later", is_flag=True, help="Only write the answer down; go on with: pipeline resume RUN."
)
@_JSON
@_START
def answer(
    *,
    run: str,
    word: str | None,
    path: str,
    comment: str,
    stage: str,
    later: bool,
    as_json: bool,
    start: Path,
) -> int:
    """Answer the approval or the question that a run waits for, and go on with it.

    Without WORD, reply to a question with the words of -m. With `allow PATH`, let that file be
    published although something in it looks like a token.
    """
    from pipeline import wiring
    from pipeline.cli.working import work_on
    from pipeline.core.events import Answer
    from pipeline.engine.ground.lookup import holder
    from pipeline.engine.steering import answer as answering
    from pipeline.ui import text

    run = _named(start, run)
    world = wiring.world(start)
    if path and word != "allow":
        raise UsageProblem(f"only allow takes a path, not {word}", f"Leave out {path!r}")
    if word == "allow":
        said = answering.allow(world, run, path)
    else:
        said = answering.answer(world, run, Answer(word or "reply"), stage, comment)
    text.err(wiring.environ()).line(said)
    if later or holder(world, run) is not None:
        return 0
    return work_on(start, run, as_json=as_json)


@click.command()
@_RUN
@click.argument("stage")
@_RELOAD
@_JSON
@_START
def retry(*, run: str, stage: str, reloaded: bool, as_json: bool, start: Path) -> int:
    """Run a stage again, with everything that builds on it, and go on from there."""
    from pipeline import wiring
    from pipeline.cli.working import work_on
    from pipeline.engine.steering import retry as retrying
    from pipeline.ui import text

    run = _named(start, run)
    stages = retrying.retry(wiring.world(start), run, stage)
    text.err(wiring.environ()).line(f"again: {', '.join(stages)}")
    return work_on(start, run, as_json=as_json, reload=reloaded)


@click.command()
@_RUN
@click.option(
    "--from",
    "stage",
    required=True,
    help="The first stage that runs again; those before it are inherited.",
)
@_RELOAD
@_JSON
@_START
def fork(*, run: str, stage: str, reloaded: bool, as_json: bool, start: Path) -> int:
    """Go on from a stage in a new run, which inherits the results of the stages before it.

    RUN stays as it is.
    """
    from pipeline import wiring
    from pipeline.cli.working import work_on
    from pipeline.engine.steering import fork as forking
    from pipeline.ui import text

    run = _named(start, run)
    name, inherited = forking.fork(wiring.world(start), run, stage, reload=reloaded)
    text.err(wiring.environ()).line(
        f"run {name}: inherits {', '.join(inherited) or 'nothing'} from {run}"
    )
    return work_on(start, name, as_json=as_json)


@click.command()
@_RUN
@click.argument("stage", required=False)
@click.option(
    "-m", "--reason", default="cancelled by a person", help="Why; it is kept with the run."
)
@_START
def cancel(*, run: str, stage: str | None, reason: str, start: Path) -> int:
    """End a run and every process of it; with STAGE only that stage."""
    from pipeline import wiring
    from pipeline.engine.steering import cancel as cancelling
    from pipeline.ui import text

    run = _named(start, run)
    world = wiring.world(start)
    if stage:
        done = cancelling.cancel_stage(world, run, stage, reason)
    else:
        done = cancelling.cancel(world, run, reason)
    text.err(wiring.environ()).line(done)
    return 0
