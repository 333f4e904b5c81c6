"""Events into state: `fold(events, plan)`, or `begin` and then `apply` one by one.

No policy: what happens next is the matter of `core/decide`. The events come in the journal's order.
"""

from collections.abc import Sequence

import msgspec

from pipeline.core import going_back, person_events
from pipeline.core.events import (
    Answered,
    ApprovalAsked,
    CancelRequested,
    ConditionAnswered,
    ConditionResult,
    EffectDone,
    EffectIntended,
    Event,
    Invoked,
    ItemsFound,
    LimitsRaised,
    LoopFinished,
    Noted,
    PersonEdited,
    RoundStarted,
    RunFinished,
    RunOpened,
    RunParked,
    RunStarted,
    StageCancelled,
    StageFinished,
    StageStarted,
    TakenBack,
    TokenAllowed,
    TokensFound,
    WorkflowStarted,
)
from pipeline.core.evidence import GateVerdict
from pipeline.core.memory import OPEN, Status
from pipeline.core.outcomes import ENGINE, Outcome, RunEnd, StopReason
from pipeline.core.progress import (
    activate,
    enter,
    fail,
    fail_run,
    finish,
    make_ready,
    meet_need,
    plan_follow_up,
    retry_or_fail,
    send_round_back,
    status_at_end,
    take_statement,
)
from pipeline.core.retry import is_parked, is_retried, rule_of
from pipeline.core.state import RunState
from pipeline.core.unfold import unfolded
from pipeline.language.flow import FailureKind, GateName
from pipeline.language.plan import Kind, Node, Plan


def begin(plan: Plan, started: RunStarted) -> RunState:
    """Return the state of a run right after its first event."""
    run = RunState(plan, started)
    activate(run, plan.workflow)
    return run


def fold(plan: Plan, events: Sequence[Event]) -> RunState:
    """Return the state that a run's events lead to; the first of them is its `RunStarted`."""
    first = events[0]
    if not isinstance(first, RunStarted):
        raise TypeError(f"the first event of a run is {type(first).__name__}, not RunStarted")
    run = begin(plan, first)
    for event in events[1:]:
        apply(run, event)
    return run


def apply(run: RunState, event: Event) -> None:  # noqa: C901, PLR0912 - one case for each event
    """Take one event in."""
    match event:
        case RunStarted():
            raise TypeError("a run begins once")
        case StageStarted():
            _stage_started(run, event)
        case StageFinished():
            _stage_finished(run, event)
        case ConditionAnswered():
            _condition_answered(run, event)
        case ItemsFound():
            _items_found(run, event)
        case ApprovalAsked():
            run.nodes[event.stage].status = Status.WAITING
            run.nodes[event.stage].reason = "waits for a person's answer"
            run.agenda.open_question(event)
        case Answered():
            person_events.answered(run, event)
        case RoundStarted():
            _round_started(run, event)
        case LoopFinished():
            _loop_finished(run, event)
        case WorkflowStarted():
            run.course.follow_up = None
            run.course.followed.add(event.workflow)
            activate(run, event.workflow)
        case RunOpened():
            _opened(run)
        case Invoked():
            person_events.invoked(run, event)
        case TakenBack():
            person_events.taken_back(run, event)
        case StageCancelled():
            person_events.stage_cancelled(run, event)
        case RunFinished():
            _run_finished(run, event)
        case _:
            _remember(run, event)


def _remember(run: RunState, event: Event) -> None:
    """Take in an event that moves no node."""
    match event:
        case PersonEdited():
            run.product.add_edit(event)
        case EffectIntended():
            run.effects.intend(event.revision, event.effect)
        case EffectDone():
            run.effects.see(event.revision, event.effect)
        case TokensFound():
            run.product.tokens = event
        case TokenAllowed():
            run.product.allowed.add((event.tree, event.path))
        case LimitsRaised():
            run.budget.raise_to(event)
        case RunParked():
            run.parked = event
        case CancelRequested():
            run.requests.cancel = event.reason or "asked by a person"
        case Noted():
            run.notes.append(event.text)
        case _:
            pass


def _stage_started(run: RunState, event: StageStarted) -> None:
    node, state = run.plan.nodes[event.stage], run.nodes[event.stage]
    run.agenda.withdraw(node)
    state.status, state.reason, state.hint = Status.RUNNING, "", ""
    state.attempts = event.attempt
    state.parked, state.not_before = None, None
    run.agenda.running[event.stage] = event.attempt
    run.agenda.held.update(node.locks)
    run.budget.reserve(node)


def _stage_finished(run: RunState, event: StageFinished) -> None:
    node, state = run.plan.nodes[event.stage], run.nodes[event.stage]
    if run.agenda.running.pop(event.stage, None) is not None:
        run.agenda.held.difference_update(node.locks)
    run.time.newest_s = max(run.time.newest_s, event.awake_s)
    rule = rule_of(event.outcome, event.kind, event.stop)
    run.budget.settle(event)
    state.calls += rule.is_call and event.agent != ENGINE
    if not event.inherited and node.kind is Kind.AGENT and event.agent != ENGINE:
        state.spent.add(event.usage, was_called=rule.keeps_reserve)
    state.last_number = run.ended_attempts = run.ended_attempts + 1
    state.last, state.reason, state.hint = event, event.reason, event.hint
    cancelled = run.requests.cancelled_stages.pop(event.stage, None)
    if cancelled is not None and event.outcome is not Outcome.DONE:
        state.reason = cancelled
        fail(run, node, Status.CANCELLED)
        return
    state.used.charge(rule.charge)
    _take_outcome(run, node, event)


def _take_outcome(run: RunState, node: Node, event: StageFinished) -> None:
    state = run.nodes[node.id]
    match event.outcome:
        case Outcome.DONE:
            _done(run, node, event)
        case Outcome.FAILED:
            _failed(run, node, event)
        case Outcome.LOST | Outcome.PARKED:
            if is_parked(event.outcome, event.kind, state.used, node.retry):
                quota = event.kind is FailureKind.QUOTA
                usual = StopReason.QUOTA_USED_UP if quota else StopReason.INTERRUPTED
                state.parked = event.stop or usual
            state.not_before = event.retry_after
            again = is_retried(event.outcome, event.kind, state.used, node.retry)
            retry_or_fail(run, node, is_retried=again)
        case Outcome.ASKS | Outcome.DECLINED:
            take_statement(run, node, event)
        case Outcome.CANCELLED:
            state.status = Status.CANCELLED


def _done(run: RunState, node: Node, event: StageFinished) -> None:
    product = run.product
    if any(gate.gate is GateName.RED for gate in event.gates):
        product.edits_since_red = ()
    product.tree, product.commit = event.tree or product.tree, event.commit or product.commit
    product.values[event.stage] = event.values
    product.results += 1
    run.nodes[node.id].done_number = product.results
    run.nodes[node.id].runs += 1
    run.agenda.withdraw(node)
    finish(run, node, Status.DONE)


def _failed(run: RunState, node: Node, event: StageFinished) -> None:
    state = run.nodes[node.id]
    of_gates = tuple(failure for gate in event.gates for failure in gate.failures)
    left_out = tuple(f"{one}, so it is no part of your change" for one in event.ignored)
    state.feedback = (*(of_gates or (event.reason,)), *left_out)
    failed = (gate for gate in event.gates if gate.verdict is GateVerdict.FAILED)
    state.refused = state.refused | {gate.gate: gate for gate in failed}
    loop = run.plan.decides_loop(node.id)
    if loop is not None and event.kind is FailureKind.GATE:
        state.status, state.is_sent_back = Status.FAILED, True
        send_round_back(run, loop, state.feedback, event.tree or run.product.tree)
        return
    state.not_before = event.retry_after
    again = is_retried(event.outcome, event.kind, state.used, node.retry)
    retry_or_fail(run, node, is_retried=again)


def _condition_answered(run: RunState, event: ConditionAnswered) -> None:
    node, state = run.plan.nodes[event.stage], run.nodes[event.stage]
    run.agenda.conditions.remove(event.stage)
    state.condition_holds = True
    match event.result:
        case ConditionResult.GO:
            enter(run, node)
        case ConditionResult.SKIP:
            for inner in run.below(node.id):
                inside = run.nodes[inner.id]
                inside.status, inside.reason = Status.SKIPPED, event.reason
            state.reason = event.reason
            finish(run, node, Status.SKIPPED)
        case ConditionResult.FAIL:
            state.reason = event.reason
            fail(run, node, Status.FAILED)


def _items_found(run: RunState, event: ItemsFound) -> None:
    state = run.nodes[event.stage]
    run.agenda.unfolding.remove(event.stage)
    if event.problem:
        state.reason = event.problem
        fail(run, run.plan.nodes[event.stage], Status.FAILED)
        return
    foreach, *nodes = unfolded(run.plan, run.plan.nodes[event.stage], event.items)
    run.plan.nodes[foreach.id] = foreach
    state.remaining, state.is_unfolded = len(foreach.children), True
    for node in nodes:
        run.plan.nodes[node.id] = node
        old = run.nodes.get(node.id)
        run.add_node(node, old)
        run.nodes[node.id].feedback = old.feedback if old is not None else ()
    for item in event.items:
        run.nodes[f"{foreach.id}:{item.key}"].value = item.value
    enter(run, foreach)


def _round_started(run: RunState, event: RoundStarted) -> None:
    inside = {event.loop, *(node.id for node in run.below(event.loop))}
    run.agenda.undecided = [loop for loop in run.agenda.undecided if loop not in inside]
    loop = run.nodes[event.loop]
    loop.round, loop.feedback = event.round, event.feedback
    loop.remaining = len(run.plan.nodes[event.loop].children)
    for node in list(run.below(event.loop)):
        run.agenda.withdraw(node)
        run.add_node(node, run.nodes[node.id])
        if node.item in inside:
            run.nodes[node.id].status = Status.SKIPPED
        if node.kind is Kind.FOREACH:
            run.plan.nodes[node.id] = msgspec.structs.replace(node, children=())
            run.nodes[node.id].remaining = 0
    for child in run.plan.nodes[event.loop].children:
        meet_need(run, child)


def _loop_finished(run: RunState, event: LoopFinished) -> None:
    run.agenda.undecided = [loop for loop in run.agenda.undecided if loop != event.loop]
    node, state = run.plan.nodes[event.loop], run.nodes[event.loop]
    state.reason = event.reason
    if event.passed:
        finish(run, node, Status.DONE)
        return
    state.status = Status.FAILED
    outer = run.plan.decides_loop(node.id)
    if outer is not None:
        state.is_sent_back = True
        send_round_back(run, outer, (event.reason, *state.feedback), run.product.tree)
        return
    plan_follow_up(run, node, event.reason)
    fail_run(run, node, f"{node.id}: {event.reason}")


def _opened(run: RunState) -> None:
    run.parked = None
    run.time.earlier_s, run.time.newest_s = run.time.total_s, 0.0
    only = run.requests.only
    if only is not None and not run.nodes[only].has_question:
        run.requests.only = None
        going_back.rebuild(run)
    for stage, state in run.nodes.items():
        if state.parked is not None:
            state.parked, state.not_before = None, None
            if stage in run.agenda.ready.later:
                run.agenda.withdraw(run.plan.nodes[stage])
                make_ready(run, run.plan.nodes[stage])


def _run_finished(run: RunState, event: RunFinished) -> None:
    run.finished = event
    run.agenda.clear()
    run.agenda.asked.clear()
    for node_id, state in run.nodes.items():
        if state.status not in {*OPEN, Status.RUNNING}:
            continue
        state.status = status_at_end(run, node_id, event.end)
        usual = "not needed" if event.end is RunEnd.DONE else event.reason
        state.reason = state.reason or usual
        run.course.not_started.add(node_id)
