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

    Raises `NothingToDo` when nothing is asked, `UsageProblem` when it is not clear what is
    answered.
    """
    state = load_state(world, name)
    asked = find_asked(state, name, stage)
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
    by = world.user.author().partition(" <")[0]
    event = Answered(
        at=world.clock(), stage=asked.stage, answer=word, tree=asked.tree, by=by, comment=comment
    )
    return f"{asked.stage}: {word.value}, {inbox.post(world, name, event)}"


def find_asked(state: RunState, name: str, stage: str) -> ApprovalAsked:
    """Return the open question, or the one of that stage."""
    if not state.asked:
        over = f"it is over: {state.end.value}" if state.end is not None else "nothing is open now"
        raise NothingToDo(f"run {name} asks nothing; {over}", f"See why: pipeline explain {name}")
    if stage and stage not in state.asked:
        raise UsageProblem(f"{stage} asks nothing now", did_you_mean(stage, state.asked))
    if not stage and len(state.asked) > 1:
        raise UsageProblem(
            f"run {name} asks {len(state.asked)} questions: {', '.join(state.asked)}",
            f"Say which: pipeline answer {name} approve --stage {next(iter(state.asked))}",
        )
    return state.asked[stage or next(iter(state.asked))]
