"""The text of a pull request, from the run's record alone: nothing is claimed that was not seen."""

from collections.abc import Callable
from pathlib import Path

from pipeline.core import plain_text
from pipeline.core.evidence import (
    DocumentsEvidence,
    FindingsEvidence,
    GateResult,
    GateVerdict,
    GreenEvidence,
    ProofEvidence,
    RedEvidence,
    new_tests,
)
from pipeline.core.state import RunState
from pipeline.engine.publishing.agents_words import answers, objections
from pipeline.engine.publishing.owners import owners
from pipeline.files.rundir import REQUEST
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.plan import Plan
from pipeline.repo.changes import changes
from pipeline.repo.store import Store

LIMIT_CHARACTERS = 60_000
_CELL_CHARACTERS = 300
_PLAN_CHARACTERS = 8_000
_IDEA_CHARACTERS = 4_000
_LESS_NEEDED = ("stages", "plan", "words", "changes", "findings")
"""Sections in the order in which they are left out of a text that is too long."""

_LIST_MAX = 40
_SEEN_WORDS = {
    GateVerdict.PASSED: "yes",
    GateVerdict.FAILED: "**NO**",
    GateVerdict.NOT_APPLICABLE: "not applicable",
    GateVerdict.COULD_NOT_LOOK: "**could not look**",
}
_CLAIMS = (
    (GateName.RED, "New tests fail without the change"),
    (GateName.GREEN, "All tests pass on exactly this tree"),
    (GateName.PROOF, "With the source taken out, the new tests fail again"),
    (GateName.NOTICED, "The tests notice as many faults in what was changed as before"),
    (GateName.DOCUMENTS, "The changelog has a line about it"),
    (GateName.CHECKS, "The repository's own checks find nothing new"),
    (GateName.UNTAMPERED, "Tests and their settings are as the test stage delivered them"),
)


def render(
    state: RunState,
    store: Store,
    tree: str,
    accepted: Callable[[str], Path],
    moved: str = "",
) -> str:
    """Write the body.

    `accepted` names the folder of a stage's accepted outputs, `moved` says where the base is now.
    """
    started = state.started
    cassette = (
        "> Played from a cassette: no model was called. Edits, tests, commits and push are real.\n"
    )
    asked = plain_text.cut(started.idea, _IDEA_CHARACTERS, f"{REQUEST} in the run folder")
    sections = {
        "": cassette if started.cassette else "",
        "base": f"> {plain_text.for_forge(moved)}\n" if moved else "",
        "idea": f"## What was asked\n\n{plain_text.fenced(asked)}\n",
        "evidence": _evidence(state),
        "findings": _findings(state),
        "changes": _changes(state, store, tree),
        "review": _review(store, started.base, tree),
        "words": _words(state, accepted),
        "plan": _plan(state, accepted),
        "stages": _stages(state),
        "run": _provenance(state, tree),
    }
    left_out = []
    for name in _LESS_NEEDED:
        if sum(map(len, sections.values())) > LIMIT_CHARACTERS and sections[name]:
            sections[name] = ""
            left_out.append(name)
    if left_out:
        names = ", ".join(left_out)
        sections["left out"] = f"Left out because it is too long: {names}. The run folder has it.\n"
    body = "\n".join(section for section in sections.values() if section)
    return f"{body[:LIMIT_CHARACTERS]}\n<!-- idea-to-pr run {started.run_id} -->\n"


def _evidence(state: RunState) -> str:
    rows = []
    for name, claim in _CLAIMS:
        gate = state.newest_gate(name)
        if gate is not None:
            evidence = gate.evidence
            is_missing = isinstance(evidence, DocumentsEvidence) and evidence.missing
            verdict = GateVerdict.FAILED if is_missing else gate.verdict
            rows.append(_row(claim, verdict, gate.detail, gate.tree))
            rows += _fault_row(gate)
    if not rows:
        return "## Evidence\n\nNo gate was run.\n"
    head = ["## Evidence", "", "Run by the engine, not reported by an agent.", ""]
    head += ["| what | seen | detail | tree |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows, "", *_old_tests(state), *_tests(state), *_survivors(state)])


def _row(claim: str, verdict: GateVerdict, detail: str, tree: str) -> str:
    return f"| {claim} | {_SEEN_WORDS[verdict]} | {_cell(detail)} | `{tree[:12]}` |"


def _fault_row(gate: GateResult) -> list[str]:
    """Return the row for single faults; only what was tried counts as evidence."""
    proof = gate.evidence
    if not isinstance(proof, ProofEvidence) or proof.faults is None:
        return []
    faults = proof.faults
    detail = f"{faults.noticed} of {faults.tried} noticed"
    if faults.bodies_tried:
        detail += f"; of bodies taken away {faults.bodies_noticed} of {faults.bodies_tried}"
    detail = detail if faults.tried or faults.bodies_tried else faults.why
    if faults.noticed_by_old:
        detail += f"; {faults.noticed_by_old} noticed by old tests alone"
    detail += f"; not tested: {', '.join(faults.untested)}" if faults.untested else ""
    claim = "Single faults put into the change were tried against its tests"
    return [_row(claim, faults.verdict, detail, gate.tree)]


def _survivors(state: RunState) -> list[str]:
    """Name the faults that no test noticed: that is where a reviewer looks first."""
    gate = state.newest_gate(GateName.PROOF)
    proof = gate.evidence if gate is not None else None
    if not isinstance(proof, ProofEvidence) or proof.faults is None or not proof.faults.survivors:
        return []
    lines = [f"- `{one.file}:{one.line}`: {one.what}" for one in proof.faults.survivors[:_LIST_MAX]]
    head = "Put into the changed code one at a time, these faults were **not** noticed by any test:"
    return [head, "", *lines, ""]


def _old_tests(state: RunState) -> list[str]:
    """Name the old tests that were changed or removed, with the test stage's reasons.

    And the test commands that do not end with status 0, here or on the base.
    """
    lines = []
    red, green = state.newest_gate(GateName.RED, passed=True), state.newest_gate(GateName.GREEN)
    if red is not None and isinstance(red.evidence, RedEvidence):
        delivery, rewritten = red.evidence.delivery, red.evidence.rewritten
        kept = [one for one in delivery.kept if one.name not in rewritten]
        for words, tests in (
            ("**removed**", delivery.removed),
            ("**changed**", delivery.changed),
            (
                "**rewritten, passes before and after**",
                [one for one in delivery.kept if one.name in rewritten],
            ),
            ("renamed or moved", kept),
            ("may be skipped", delivery.skipped),
            ("**revised after it was delivered**", delivery.revised),
        ):
            lines += [f"- {words}: `{one.name}`: {plain_text.for_forge(one.why)}" for one in tests]
        lines += [
            f"- setting added: `{one.key}`: {plain_text.for_forge(one.why)}"
            for one in delivery.settings
        ]
    if lines:
        lines = ["Old tests and settings, in the words of the test stage:", "", *lines, ""]
    if green is not None and isinstance(green.evidence, GreenEvidence):
        lines += [
            f"**The test command fails on the base already** (exit status {one.base_code}): "
            f"`{one.command}`\n"
            for one in green.evidence.commands
            if one.base_code
        ]
    return lines


def _tests(state: RunState) -> list[str]:
    """Show each new test before and after."""
    red = state.newest_gate(GateName.RED, passed=True)
    tests = new_tests(red, state.newest_gate(GateName.GREEN))
    rows = [f"| `{test.name}` | {' | '.join(test.words)} |" for test in tests]
    if not rows:
        return []
    more = [f"| and {len(rows) - _LIST_MAX} more | | |"] if len(rows) > _LIST_MAX else []
    head = ["| new test | before | after |", "| --- | --- | --- |"]
    return [*head, *rows[:_LIST_MAX], *more, ""]


def _findings(state: RunState) -> str:
    gate = state.newest_gate(GateName.FINDINGS)
    evidence = gate.evidence if gate is not None else None
    if not isinstance(evidence, FindingsEvidence):
        return ""
    blocking, minor = evidence.blocking, evidence.minor
    if not blocking and not minor:
        return ""
    lines = ["## Reviewers' findings that stand", ""]
    lines += [f"- **blocking** {plain_text.for_forge(str(item))}" for item in blocking]
    lines += [f"- {plain_text.for_forge(str(item))}" for item in minor]
    return "\n".join([*lines, ""])


def _changes(state: RunState, store: Store, tree: str) -> str:
    groups: dict[str, list[str]] = {"Tests": [], "Source": [], "Documents": [], "Other": []}
    for change in changes(store, state.started.base, tree):
        line = f"- `{change.path}` ({change.what}, {change.lines})"
        groups[_group(state.plan, change.path)].append(line)
    lines = ["## What changed", ""]
    for name, items in groups.items():
        if items:
            lines += [f"{name}:", *items[:_LIST_MAX], ""]
    return "\n".join(lines)


def _group(plan: Plan, path: str) -> str:
    if globs.matches_any([glob for target in plan.targets for glob in target.tests], path):
        return "Tests"
    if globs.matches_any([glob for target in plan.targets for glob in target.source], path):
        return "Source"
    documents = [glob for target in plan.targets for glob in target.docs]
    return "Documents" if globs.matches_any(documents, path) else "Other"


def _review(store: Store, base: str, tree: str) -> str:
    """Name the owners of what was changed, without calling them; the forge does that."""
    owned = owners(store, base, [change.path for change in store.diff(base, tree)])
    if not owned:
        return ""
    lines = ["## Who should review", "", "By the base's CODEOWNERS:", ""]
    for name, paths in owned.items():
        shown = ", ".join(f"`{path}`" for path in paths[:5])
        lines.append(
            f"- `{name}`: {shown}" + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
        )
    return "\n".join([*lines, ""])


def _words(state: RunState, accepted: Callable[[str], Path]) -> str:
    """Quote what testers and developers say, and the tests that they held to be wrong."""
    lines = [
        f"- `{stage}` held `{test}` to be wrong: {plain_text.for_forge(why)}"
        for stage, test, why in objections(state)
    ]
    lines += [""] if lines else []
    for stage, said in answers(state, accepted):
        quoted = "\n".join(f"> {line}" for line in plain_text.for_forge(said).splitlines())
        lines += [f"<details><summary>{stage} says</summary>", "", quoted, "", "</details>", ""]
    if not lines:
        return ""
    return "\n".join(["## In the agents' words", "", "Not checked by the engine.", "", *lines])


def _plan(state: RunState, accepted: Callable[[str], Path]) -> str:
    for node in state.plan.leaves():
        output = node.outputs.get("plan")
        path = accepted(node.id) / output.file if output else None
        if path is not None and path.is_file():
            text = plain_text.for_forge(path.read_text(errors="replace").strip())
            text = plain_text.cut(text, _PLAN_CHARACTERS, f"{path.name} in the run folder")
            return f"<details><summary>Plan (by {node.id})</summary>\n\n{text}\n\n</details>\n"
    return ""


def _stages(state: RunState) -> str:
    rows = []
    for node in state.plan.leaves():
        memory = state.nodes[node.id]
        if memory.last is None or node.workflow != state.course.active:
            continue
        spent = memory.spent
        cost = "" if spent.cost_usd is None else f"{spent.cost_usd:.2f} USD"
        took = f"{memory.last.duration_s:.1f} s"
        rows.append(f"| {node.id} | {memory.last.agent} | {memory.attempts} | {took} | {cost} |")
    head = ["| stage | agent | attempts | last took | cost |", "| --- | --- | --- | --- | --- |"]
    begin = ["<details><summary>Stages</summary>", ""]
    return "\n".join([*begin, *head, *rows, "", "</details>", ""])


def _provenance(state: RunState, tree: str) -> str:
    started = state.started
    return (
        f"Run `{started.run_id}` of `{started.workflow}`, flow `{started.flow_digest[:12]}`, from "
        f"`{started.base_branch}` at `{started.base[:12]}` to tree `{tree[:12]}`; sandbox: none "
        "(writes outside a stage's paths are detected and refused).\n"
        f"Look closer: `pipeline show {started.run_id}`. "
        "Push to this branch freely; the pipeline does not overwrite it.\n"
    )


def _cell(text: str) -> str:
    return plain_text.for_forge(text.replace("|", "\\|").replace("\n", " "))[:_CELL_CHARACTERS]
