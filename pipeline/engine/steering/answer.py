"""A person's answer to an approval or a question: bound to the tree they were shown."""

from pipeline.core.events import Answer, Answered, ApprovalAsked, TokenAllowed
from pipeline.core.state import RunState
from pipeline.engine.ground import requests
from pipeline.engine.ground.lookup import load_state
from pipeline.engine.ground.stages import find_stage
from pipeline.engine.ground.world import World
from pipeline.errors import NothingToDo, UsageProblem


def answer(world: World, name: str, word: Answer, stage: str, comment: str) -> str:
    """Hand an answer to the run; return what became of it, in words.

    Raises `NothingToDo` when nothing is asked, `UsageProblem` when it is not clear what is
    answered.
    """
    state = load_state(world, name)
    asked = _find_asked(state, name, stage)
    is_question = state.plan.nodes[asked.stage].approval is None
    if is_question and word in {Answer.APPROVE, Answer.REVISE}:
        raise UsageProblem(
            f"{asked.stage} asks a question", f'Reply: pipeline answer {name} -m "..."; or: stop'
        )
    if not is_question and word is Answer.REPLY:
        raise UsageProblem(
            f"{asked.stage} asks for approval",
            f"Say: pipeline answer {name} approve | revise | stop",
        )
    if word in {Answer.REVISE, Answer.REPLY} and not comment.strip():
        what = "what is to be revised?" if word is Answer.REVISE else "what is the answer?"
        raise UsageProblem(what, f'Say it: pipeline answer {name} {word.value} -m "..."')
    event = Answered(
        at=world.clock(),
        stage=asked.stage,
        answer=word,
        tree=asked.tree,
        by=world.user.author().partition(" <")[0],
        comment=comment,
    )
    return f"{asked.stage}: {word.value}, {requests.post(world, name, event)}"


def allow(world: World, name: str, path: str) -> str:
    """Let a file be published although something in it looks like a token; only as it is now.

    Raises `NothingToDo` when nothing does, `UsageProblem` for a file that nobody asked about.
    """
    state = load_state(world, name)
    found = state.product.tokens
    if found is None or state.effects.branch is not None or state.end is not None:
        raise NothingToDo(
            f"run {name} asks about no file", f"See why it waits: pipeline explain {name}"
        )
    paths = list(dict.fromkeys(place.path for place in found.places))
    if path not in paths:
        what = f"run {name} does not ask about {path!r}" if path else "which file may be published?"
        raise UsageProblem(
            what, "\n".join(f"Say it: pipeline answer {name} allow {one}" for one in paths)
        )
    by = world.user.author().partition(" <")[0]
    event = TokenAllowed(at=world.clock(), path=path, tree=found.tree, by=by)
    return f"{path}: allowed, {requests.post(world, name, event)}"


def _find_asked(state: RunState, name: str, stage: str) -> ApprovalAsked:
    """Return the open question, or the one of that stage."""
    asked = state.agenda.asked
    if not asked:
        over = f"it is over: {state.end.value}" if state.end is not None else "nothing is open now"
        raise NothingToDo(f"run {name} asks nothing; {over}", f"See why: pipeline explain {name}")
    if stage:
        nodes = [state.plan.nodes[one] for one in asked]
        return asked[find_stage(nodes, stage, where="the open questions")[0].id]
    if len(asked) > 1:
        raise UsageProblem(
            f"run {name} asks {len(asked)} questions: {', '.join(asked)}",
            f"Say which: pipeline answer {name} approve --stage {next(iter(asked))}",
        )
    return next(iter(asked.values()))
