"""A person's answer to an approval: bound to the tree they were shown."""

from pipeline.core.events import Answer, Answered, ApprovalAsked
from pipeline.core.state import RunState
from pipeline.engine import inbox
from pipeline.engine.look import load_state
from pipeline.engine.world import World
from pipeline.errors import NothingToDo, UsageProblem
from pipeline.language.diagnostics import did_you_mean


def answer(world: World, name: str, word: Answer, stage: str, comment: str) -> str:
    """Hand an answer to the run; return what became of it, in words.

    Raises `NothingToDo` when nothing is asked, `UsageProblem` when it is not clear what is answered.
    """
    state = load_state(world, name)
    asked = find_asked(state, name, stage)
    if word is Answer.REVISE and not comment:
        raise UsageProblem("what is to be revised?", f'Say it: pipeline answer {name} revise -m "..."')
    by = world.user.author().partition(" <")[0]
    event = Answered(at=world.clock(), stage=asked.stage, answer=word, tree=asked.tree, by=by, comment=comment)
    return f"{asked.stage}: {word.value}, {inbox.post(world, name, event)}"


def find_asked(state: RunState, name: str, stage: str) -> ApprovalAsked:
    """Return the open question, or the one of that stage."""
    if not state.asked:
        over = f"it is over: {state.end.value}" if state.end is not None else "no approval is open now"
        raise NothingToDo(f"run {name} asks nothing; {over}", f"See why: pipeline explain {name}")
    if stage and stage not in state.asked:
        raise UsageProblem(f"{stage} asks nothing now", did_you_mean(stage, state.asked))
    if not stage and len(state.asked) > 1:
        raise UsageProblem(
            f"run {name} asks {len(state.asked)} questions: {', '.join(state.asked)}",
            f"Say which: pipeline answer {name} approve --stage {next(iter(state.asked))}",
        )
    return state.asked[stage or next(iter(state.asked))]
