"""What a prompt is given: one value, made here for real stages and dry runs alike."""

from collections.abc import Sequence

import msgspec

from pipeline.core import values
from pipeline.core.events import StageStarted
from pipeline.core.state import RunState
from pipeline.language.plan import Node, Plan
from pipeline.language.schemas import example_of


class WantedOutput(msgspec.Struct, frozen=True, kw_only=True):
    """One file that a stage has to deliver, with an example of its shape where it has one."""

    name: str
    file: str
    example: str
    is_optional: bool = False


class InputFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file in a stage's input folder, and what it is in a few words; as text it is the name."""

    file: str
    about: str

    def __str__(self) -> str:
        """Return its name."""
        return self.file


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a prompt can name; each field is a variable of the template.

    `inputs` are the files in the input folder, `given` the inputs of the workflow, `item` that of
    the foreach around the stage. `feedback` is what failed before, `replies` what persons answered.
    """

    idea: str
    feature: str
    run_id: str
    base_branch: str
    stage: str
    mode: str
    role: str
    writes: list[str]
    reads: list[str] | None
    must_change: bool
    may: list[str]
    outputs: list[WantedOutput]
    gates: list[str]
    later_gates: list[str]
    max_rounds: int
    tests: list[str]
    source: list[str]
    test_commands: list[str]
    inputs: list[InputFile]
    given: dict[str, object]
    item: object
    item_text: str
    round: int
    attempt: int
    feedback: list[str]
    replies: list[str]


NAMES = Brief.__struct_fields__
"""All variables of a prompt; a flow whose prompts name others is refused."""


def brief_of(
    state: RunState, node: Node, event: StageStarted, inputs: Sequence[InputFile]
) -> Brief:
    """Make the brief of one attempt; `inputs` are the files that the stage is given."""
    started, memory, plan = state.started, state.nodes[node.id], state.plan
    loops = list(plan.loops_around(node.id))
    of_loops = [line for loop in loops for line in state.nodes[loop.id].feedback]
    item = state.nodes[node.item].value if node.item else None
    return Brief(
        idea=started.idea,
        feature=started.feature,
        run_id=started.run_id,
        base_branch=started.base_branch,
        stage=node.id,
        mode=node.mode,
        role=node.player.role if node.player else "",
        writes=[pattern.replace(" ! ", ", but not ") for pattern in node.writes],
        reads=None if node.reads is None else list(node.reads),
        must_change=node.must_change,
        may=[word.value for word in node.may],
        outputs=[
            WantedOutput(
                name=name,
                file=output.file,
                example=example_of(output),
                is_optional=output.optional,
            )
            for name, output in node.outputs.items()
        ],
        gates=[GATE_WORDS[gate.value] for gate in node.gates],
        later_gates=_later_gates(plan, node),
        max_rounds=max((loop.loop.max for loop in loops[:1] if loop.loop), default=1),
        tests=[glob for target in plan.targets for glob in target.tests],
        source=[glob for target in plan.targets for glob in target.source],
        test_commands=[target.test.command for target in plan.targets],
        inputs=list(inputs),
        given=values.inputs_of(state, node),
        item=item,
        item_text=msgspec.json.format(msgspec.json.encode(item)).decode() if node.item else "",
        round=event.round,
        attempt=event.attempt,
        feedback=list(dict.fromkeys([*memory.feedback, *of_loops])),
        replies=list(memory.replies),
    )


GATE_WORDS = {
    "red": (
        "`red`: your new tests are run on the base, without any source change. Each must fail "
        "there, and for a reason that source can mend: a syntax error, an unknown fixture, a name "
        "that the test itself forgot, a package that is not installed, a set-up that fails on its "
        "own, a skip or a test that passes already is refused. Tests that were there before stay "
        "as they are, unless tests.json names them with a reason."
    ),
    "green": (
        "`green`: all tests are run on exactly the files you leave behind. All must pass, the new "
        "ones included; a test that is skipped, deselected or gone counts as a failure, and a "
        "flaky one is found out by running it again. Last, the test command itself is run as a "
        "person would type it, and has to end with status 0 if it does so without your change."
    ),
    "proof": (
        "`proof`: the source change is taken out again; then the new tests have to fail again. "
        "After that single faults are put into the change, one at a time, and it is counted how "
        "many the new tests notice; if they notice none, the gate fails, whatever old tests notice."
    ),
    "checks": (
        "`checks`: the repository's own checks (lint, types, style) are run; what they find on the "
        "base already is left aside, what is new fails, wherever it lies."
    ),
    "untampered": (
        "`untampered`: the test files must be byte for byte what the test stage delivered, and old "
        "tests that stand in source files, examples and snapshots must stay; new ones may be "
        "added. Settings of tests, coverage and lint may not be loosened, and source does not look "
        "whether it is being tested."
    ),
    "findings": (
        "`findings`: a finding counts only with a file of this tree and a line it has; in a loop "
        "blocking ones go back for another round, and stand in the pull request after the last; "
        "elsewhere they fail the stage."
    ),
}
"""What each gate checks, in words for an agent; a test holds that every gate has its words."""


def _later_gates(plan: Plan, node: Node) -> list[str]:
    """Return the gates of the same round that come after this stage."""
    siblings = plan.nodes[node.parent].children if node.parent else ()
    later = [plan.nodes[sibling] for sibling in siblings if node.id in plan.nodes[sibling].needs]
    return [GATE_WORDS[gate.value] for other in later for gate in other.gates]
