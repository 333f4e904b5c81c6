"""What a prompt can name: the stage as the flow describes it, as plain data for a template."""

from pipeline.language.plan import Node, Plan
from pipeline.language.schemas import example_of

NAMES = (
    "idea", "feature", "run_id", "base_branch", "stage", "mode", "role", "writes", "reads", "must_change", "may",
    "outputs", "gates", "later_gates", "max_rounds", "tests", "source", "test_commands", "inputs", "given", "item",
    "item_text", "round", "attempt", "told", "replies",
)  # fmt: skip
"""All variables of a prompt; a flow whose prompts name others is refused."""


def describe(plan: Plan, node: Node) -> dict[str, object]:
    """Say what the flow says of a stage, as plain data for a template."""
    loops = list(plan.loops_around(node.id))
    return {
        "stage": node.id,
        "mode": node.mode,
        "role": node.player.role if node.player else "",
        "writes": [pattern.replace(" ! ", ", but not ") for pattern in node.writes],
        "reads": None if node.reads is None else list(node.reads),
        "must_change": node.must_change,
        "may": [word.value for word in node.may],
        "outputs": [
            {"name": name, "file": output.file, "example": example_of(output)}
            for name, output in node.outputs.items()
        ],
        "gates": [GATE_WORDS[gate.value] for gate in node.gates],
        "later_gates": _later_gates(plan, node),
        "max_rounds": max((loop.loop.max for loop in loops[:1] if loop.loop), default=1),
        "tests": [glob for target in plan.targets for glob in target.tests],
        "source": [glob for target in plan.targets for glob in target.source],
        "test_commands": [target.test.command for target in plan.targets],
    }


GATE_WORDS = {
    "red": "`red`: your new tests are run on the base, without any source change. Each must fail there, by a failed "
    "assertion or because a name of this project's own source does not exist yet. A syntax error, a missing "
    "fixture, a missing third-party package, a skip or a test that passes already is refused. Tests that "
    "were there before must stay as they are.",
    "green": "`green`: all tests are run on exactly the files you leave behind. All must pass, the new ones "
    "included; a skipped or deleted test counts as a failure, and a flaky one is found out by running it again.",
    "proof": "`proof`: the source change is taken out again; then the new tests have to fail again. After that single "
    "faults are put into the changed functions, one at a time, and it is counted how many the tests notice.",
    "checks": "`checks`: the repository's own checks (lint, types, style) are run; what they find on the base already "
    "is left aside, what is new fails.",
    "untampered": "`untampered`: the test files must be byte for byte what the test stage delivered.",
    "findings": "`findings`: a finding counts only with a file of this tree and a line it has; in a loop "
    "blocking ones go back for another round, and stand in the pull request after the last; elsewhere they "
    "fail the stage.",
}
"""What each gate checks, in words for an agent; a test holds that every gate has its words."""


def _later_gates(plan: Plan, node: Node) -> list[str]:
    """Say which gates of the same round come after this stage."""
    siblings = plan.nodes[node.parent].children if node.parent else ()
    later = [plan.nodes[sibling] for sibling in siblings if node.id in plan.nodes[sibling].needs]
    return [GATE_WORDS[gate.value] for other in later for gate in other.gates]
