"""What a stage is given to read: what its needs reach, and what its round was told; nothing else.

The same flow gives a stage the same files whatever runs beside it. Each file has a line that says
what it is, for the prompt.
"""

from collections.abc import Iterator
from pathlib import Path

from pipeline.core.evidence import NewTest, new_tests
from pipeline.core.state import RunState
from pipeline.files import atomic
from pipeline.files.rundir import ANSWER, LAST_ROUND, RunDir, copy_outputs, list_outputs
from pipeline.files.trees import remove
from pipeline.language.flow import GateName
from pipeline.language.plan import Node, Plan
from pipeline.prompts.brief import InputFile

GIVEN = "given"
"""Folder of inputs that a person handed to `invoke_agent`."""

CHANGE = "change.diff"
NEW_TESTS = "new_tests.md"
SINCE = "since.diff"
_REFUSED = ".tree"
_OF_ROUND = {
    "gates.log": "all that the engine's commands printed",
    "change.diff": "the change that was refused; the folder you work in has it already",
    SINCE: "what has changed since then",
}


def given_stages(state: RunState, rundir: RunDir, node: Node) -> Iterator[str]:
    """Yield the stages whose accepted outputs and answers a stage is given, in the flow's order.

    These are the ones that its needs reach. A workflow that looks for the cause of a failure is
    given all that the run has delivered.
    """
    plan = state.plan
    reached = state.reached(node.id)
    if _is_follow_up(plan, node):
        reached |= {leaf.id for leaf in plan.leaves() if leaf.workflow == plan.workflow}
    there = rundir.accepted_stages()
    for leaf in plan.leaves() if there else ():
        if leaf.id in reached and rundir.accepted(leaf.id).is_dir():
            yield leaf.id
    if GIVEN in there:
        yield GIVEN


def _is_follow_up(plan: Plan, node: Node) -> bool:
    called = any(one.call for one in (node, *plan.around(node.id)))
    return node.workflow != plan.workflow and not called


def last_rounds(state: RunState, rundir: RunDir, node: Node) -> Iterator[Path]:
    """Yield the folders with what this stage, or a loop around it, was sent back with.

    The innermost comes first, and of the same file counts.
    """
    for one in (node, *state.plan.around(node.id)):
        if (folder := rundir.last_round(one.id)).is_dir():
            yield folder


def input_files(state: RunState, rundir: RunDir, node: Node) -> Iterator[InputFile]:
    """Yield the files that an agent finds in its input folder."""
    for stage in given_stages(state, rundir, node):
        for name in list_outputs(rundir.accepted(stage)):
            yield InputFile(file=f"{stage}/{name}", about=_about(state.plan, stage, name))
    if state.product.tree:
        yield InputFile(file=CHANGE, about="the change so far, against the base")
    if _new_tests(state):
        yield InputFile(file=NEW_TESTS, about="the delivered tests, and why each failed first")
    folders = list(last_rounds(state, rundir, node))
    known = {str(one): one for folder in folders for one in files_of_round(state.plan, folder)}
    yield from known.values()
    refused = refused_tree(folders[0]) if folders else ""
    if refused and refused != state.product.tree:
        yield InputFile(file=f"{LAST_ROUND}/{SINCE}", about=_OF_ROUND[SINCE])


def files_of_round(plan: Plan, folder: Path) -> Iterator[InputFile]:
    """Yield the files that tell of the last round."""
    for name in list_outputs(folder):
        if name != _REFUSED:
            about = _OF_ROUND.get(name) or f"{_about(plan, *_split(name))}, in the last round"
            yield InputFile(file=f"{LAST_ROUND}/{name}", about=about)


def _split(name: str) -> tuple[str, str]:
    stage, _, file = name.partition("/")
    return stage, file


def _about(plan: Plan, stage: str, name: str) -> str:
    """Say in a few words what a stage's file is."""
    if stage == GIVEN:
        return "handed over by the person"
    node = plan.nodes.get(stage)
    declared = node.outputs.items() if node is not None else ()
    output = next((key for key, one in declared if one.file == name), "")
    if output:
        return f"{output}, from {stage}"
    return f"the answer of {stage}" if name == ANSWER else f"from {stage}"


def lay_out(
    rundir: RunDir, folder: Path, stages: tuple[str, ...], rounds: tuple[Path, ...]
) -> None:
    """Copy the accepted outputs of stages and of the last round into an input folder.

    They are copies, so that nothing an agent does to its own reaches another.
    """
    for stage in stages:
        copy_outputs(rundir.accepted(stage), folder / stage)
    for last in reversed(rounds):
        copy_outputs(last, folder / LAST_ROUND)
        remove(folder / LAST_ROUND / _REFUSED)


def tests_text(state: RunState) -> str:
    """Write the delivered tests as a list, with how each failed; empty without any."""
    return "".join(f"- {test.name}: {test.words[0]}\n" for test in _new_tests(state))


def _new_tests(state: RunState) -> list[NewTest]:
    return list(new_tests(state.newest_gate(GateName.RED, passed=True), None))


def keep_last_round(
    rundir: RunDir, plan: Plan, decided: Node | None, stage: str, answer: str
) -> Path:
    """Keep what was said in a round that is sent back; return the folder for what was found.

    `decided` is the loop that `stage` has sent back, None if it is repeated alone. The answers and
    outputs of all stages of that round go with it, each in a folder of its name.
    """
    folder = rundir.last_round(decided.id if decided is not None else stage)
    remove(folder)
    for leaf in plan.below(decided.id) if decided is not None else ():
        if leaf.is_leaf and leaf.id != stage and rundir.accepted(leaf.id).is_dir():
            copy_outputs(rundir.accepted(leaf.id), folder / leaf.id)
    if answer.strip():
        atomic.write_text(folder / stage / ANSWER, answer, durable=False)
    return folder


def note_refused(folder: Path, tree: str) -> None:
    """Note the tree that was refused, beside what was said of it."""
    atomic.write_text(folder / _REFUSED, tree, durable=False)


def refused_tree(folder: Path) -> str:
    """Return the tree that the last round was refused with; empty if it is not known."""
    path = folder / _REFUSED
    return path.read_text() if path.is_file() else ""
