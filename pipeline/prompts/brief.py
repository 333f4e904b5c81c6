"""What a prompt is given: one value, made here for real stages and dry runs alike."""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from pipeline.core import plain_text, values
from pipeline.core.events import StageStarted
from pipeline.core.state import RunState
from pipeline.language.flow import GateName
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
    the foreach around the stage. `planned` tells whether a plan comes before it, `in_loop` whether
    it is repeated. `input_dir` and `output_dir` are its folders, empty in a dry run. `feedback` is
    what failed before, `replies` what persons answered. `fence` marks where the idea begins and
    ends: nobody who wrote it could know it.
    """

    idea: str
    fence: str
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
    docs: list[str]
    planned: bool
    in_loop: bool
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
    input_dir: str = ""
    output_dir: str = ""


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
        idea=plain_text.shown(started.idea),
        fence=blake2b(started.run_id.encode(), digest_size=6).hexdigest(),
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
        docs=[glob for target in plan.targets for glob in target.docs],
        planned=_is_planned(state, node),
        in_loop=bool(loops),
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
        "`red`: your new tests are run without any source change. Each must fail, and for a reason "
        "that source can mend: no syntax error, unknown fixture, forgotten name, missing package. "
        "Old tests stay, unless tests.json names them."
    ),
    "green": (
        "`green`: all tests pass, none of them skipped, deselected or gone; then the test command "
        "alone ends with status 0, if it does so without the change."
    ),
    "proof": (
        "`proof`: the source change is taken out, and the new tests fail again; single faults put "
        "into the change are noticed by new tests, at least one."
    ),
    "noticed": (
        "`noticed`: single faults are put into the lines you touched, before and after; the tests "
        "notice as many as before, and leave no function untested that was tested."
    ),
    "checks": (
        "`checks`: lint, types and style find nothing, anywhere, that they do not find on the base."
    ),
    "untampered": (
        "`untampered`: the tests are byte for byte as delivered, old ones inside source files, "
        "examples and snapshots as they were; no setting of tests or checks is loosened, and "
        "source does not look whether it is being tested."
    ),
    "findings": (
        "`findings`: one counts only with a file and a line of this tree, and blocks only with "
        "`fails_when`; blocking ones go back, the rest stand in the pull request."
    ),
    "documents": (
        "`documents`: where a changelog is kept, a change of the source has a line in it."
    ),
}
"""What each gate checks, in words for an agent; a test holds that every gate has its words."""


def _is_planned(state: RunState, node: Node) -> bool:
    """Return whether a plan comes before a stage."""
    reached = (state.plan.nodes[name] for name in state.reached(node.id))
    return any("plan" in one.outputs for one in reached)


def _later_gates(plan: Plan, node: Node) -> list[str]:
    """Return the gates of the same round that come after this stage in any case."""
    siblings = plan.nodes[node.parent].children if node.parent else ()
    later = [
        plan.nodes[sibling]
        for sibling in siblings
        if node.id in plan.nodes[sibling].needs and not plan.nodes[sibling].when
    ]
    # Whoever delivers tests is not told to leave them as they were delivered.
    left_out = {GateName.UNTAMPERED} if GateName.RED in node.gates else set()
    return [
        GATE_WORDS[gate.value] for other in later for gate in other.gates if gate not in left_out
    ]
