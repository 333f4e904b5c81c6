"""The text of a pull request, from the run's record alone: nothing is claimed that was not seen."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.core.events import GateResult
from pipeline.core.state import RunState
from pipeline.engine.publishing.owners import owners
from pipeline.engine.result import newest_gate
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.plan import Plan
from pipeline.repo.store import Store

LIMIT = 60_000
_MENTION = re.compile(r"(?<![\w`/])([@#])(?=\w)")
_LIST_MAX = 40


def render(
    state: RunState, store: Store, tree: str, accepted: Callable[[str], Path], moved: str = ""
) -> str:
    """Write the body.

    `accepted` names the folder of a stage's accepted outputs, `moved` says where the base is now.
    """
    started = state.started
    if started is None:
        raise ValueError("the run has not started")
    played = (
        [
            "> Played from a cassette: no model was called. Edits, tests, commits and push are real.\n"
        ]
        if started.cassette
        else []
    )
    parts = [
        *played,
        f"> {quiet(moved)}\n" if moved else "",
        f"## What was asked\n\n{_fence(started.idea)}\n",
        _evidence(state),
        _findings(state),
        _changes(state, store, tree),
        _review(store, started.base, tree),
        _plan(state, accepted),
        _stages(state),
        _provenance(state, tree),
        f"<!-- idea-to-pr run {started.run_id} -->",
    ]
    body = "\n".join(part for part in parts if part)
    if len(body) > LIMIT:
        body = (
            body[:LIMIT].rpartition("\n")[0]
            + "\n\n(shortened; the run folder has it all)\n"
            + parts[-1]
        )
    return body + "\n"


def quiet(text: str) -> str:
    """Keep agents' text from notifying people: `@name` and `#1` lose their meaning."""
    return _MENTION.sub("\\1\u200b", text)


def _evidence(state: RunState) -> str:
    rows = []
    for name, says in (
        (GateName.RED, "New tests fail without the change"),
        (GateName.GREEN, "All tests pass on exactly this tree"),
        (GateName.PROOF, "With the source taken out, the new tests fail again"),
        (GateName.CHECKS, "The repository's own checks find nothing new"),
        (GateName.UNTAMPERED, "Tests are as the test stage delivered them"),
    ):
        gate = newest_gate(state, name)
        if gate is not None:
            rows.append(
                f"| {says} | {'yes' if gate.passed else 'NO'} | {_cell(gate.detail)} | `{gate.tree[:12]}` |"
            )
    table = ["## Evidence", "", "Run by the engine, not reported by an agent.", ""]
    table += ["| what | seen | detail | tree |", "| --- | --- | --- | --- |", *rows, ""]
    return (
        "\n".join([*table, *_tests(state), *_faults(state)])
        if rows
        else "## Evidence\n\nNo gate was run.\n"
    )


def _faults(state: RunState) -> list[str]:
    """Name the faults that no test noticed: that is where a reviewer looks first."""
    survivors = _items(newest_gate(state, GateName.PROOF), "survivors")
    if not survivors:
        return []
    lines = [
        f"- `{str(line).partition(': ')[0]}`: {str(line).partition(': ')[2]}"
        for line in survivors[:_LIST_MAX]
    ]
    return [
        "Put into the changed code one at a time, these faults were **not** noticed by any test:",
        "",
        *lines,
        "",
    ]


def _tests(state: RunState) -> list[str]:
    """Show each new test before and after."""
    rows = [f"| `{name}` | {before} | {after} |" for name, before, after in test_rows(state)]
    if not rows:
        return []
    more = [f"| and {len(rows) - _LIST_MAX} more | | |"] if len(rows) > _LIST_MAX else []
    return ["| new test | before | after |", "| --- | --- | --- |", *rows[:_LIST_MAX], *more, ""]


def test_rows(state: RunState) -> list[tuple[str, str, str]]:
    """List every new test with how it failed before and how it ended after."""
    red, green = newest_gate(state, GateName.RED, passed=True), newest_gate(state, GateName.GREEN)
    kinds = _mapping(red, "new")
    files = _mapping(red, "files")
    passed = [str(name) for name in _items(green, "new")]
    where = _mapping(green, "new_in")
    names = [*kinds, *(name for name in passed if name not in kinds)]
    rows = []
    for name in names:
        file_kind = files.get(where.get(name, ""), "")
        before = f"red ({kinds.get(name) or file_kind or 'not there'})"
        rows.append((name, before, "green" if name in passed else "red" if green else "not run"))
    return rows


def _findings(state: RunState) -> str:
    gate = newest_gate(state, GateName.FINDINGS)
    blocking, minor = _items(gate, "blocking"), _items(gate, "minor")
    if not blocking and not minor:
        return ""
    lines = ["## Reviewers' findings that stand", ""]
    lines += [f"- **blocking** {quiet(str(item))}" for item in blocking]
    lines += [f"- {quiet(str(item))}" for item in minor]
    return "\n".join([*lines, ""])


def _changes(state: RunState, store: Store, tree: str) -> str:
    base = state.started.base if state.started else ""
    groups: dict[str, list[str]] = {"Tests": [], "Source": [], "Other": []}
    for status, path, added, removed in summary(store, base, tree):
        groups[_group(state.plan, path)].append(f"- `{path}` ({status}, +{added} -{removed})")
    lines = ["## What changed", ""]
    for name, items in groups.items():
        if items:
            lines += [f"{name}:", *items[:_LIST_MAX], ""]
    return "\n".join(lines)


def summary(store: Store, base: str, tree: str) -> list[tuple[str, str, str, str]]:
    """List the changed files.

    What happened, path, lines added and removed (`-` for binary ones).
    """
    words = {"A": "new", "M": "changed", "D": "removed", "T": "changed kind"}
    fields = store.git("diff-tree", "-r", "-z", "--no-renames", "--numstat", base, tree).split("\0")
    counts = {
        path: (added, removed)
        for line in fields
        if line
        for added, removed, path in [line.split("\t", 2)]
    }
    return [
        (words.get(change.status, change.status), change.path, *counts.get(change.path, ("0", "0")))
        for change in store.diff(store.tree_of(base), tree)
    ]


def _group(plan: Plan, path: str) -> str:
    if globs.matches_any([glob for target in plan.targets for glob in target.tests], path):
        return "Tests"
    return (
        "Source"
        if globs.matches_any([glob for target in plan.targets for glob in target.source], path)
        else "Other"
    )


def _review(store: Store, base: str, tree: str) -> str:
    """Name the owners of what was changed, without calling them; the forge does that."""
    found = owners(store, base, [change.path for change in store.diff(base, tree)])
    if not found:
        return ""
    lines = ["## Who should review", "", "By the base's CODEOWNERS:", ""]
    for name, paths in found.items():
        shown = ", ".join(f"`{path}`" for path in paths[:5])
        lines.append(
            f"- `{name}`: {shown}" + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
        )
    return "\n".join([*lines, ""])


def _plan(state: RunState, accepted: Callable[[str], Path]) -> str:
    for node in state.plan.leaves():
        output = node.outputs.get("plan")
        path = accepted(node.id) / output.file if output else None
        if path is not None and path.is_file():
            text = quiet(path.read_text(errors="replace").strip())
            return (
                f"<details><summary>Plan (by {node.id})</summary>\n\n{text[:8000]}\n\n</details>\n"
            )
    return ""


def _stages(state: RunState) -> str:
    rows = []
    for node in state.plan.leaves():
        memory = state.nodes[node.id]
        if memory.last is None or node.workflow != state.active:
            continue
        cost = "" if memory.last.usage.cost_usd is None else f"{memory.last.usage.cost_usd:.2f} USD"
        rows.append(
            f"| {node.id} | {memory.last.agent} | {memory.attempts} | {memory.last.duration_s:.1f} s | {cost} |"
        )
    head = ["| stage | agent | attempts | last took | cost |", "| --- | --- | --- | --- | --- |"]
    return "\n".join(["<details><summary>Stages</summary>", "", *head, *rows, "", "</details>", ""])


def _provenance(state: RunState, tree: str) -> str:
    started = state.started
    if started is None:
        return ""
    return (
        f"Run `{started.run_id}` of `{started.workflow}`, flow `{started.flow_digest[:12]}`, from "
        f"`{started.base_branch}` at `{started.base[:12]}` to tree `{tree[:12]}`; sandbox: none (writes outside a "
        f"stage's paths are detected and refused).\nLook closer: `pipeline show {started.run_id}`. "
        "Push to this branch freely; the pipeline does not overwrite it.\n"
    )


def _fence(text: str) -> str:
    marks = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", text) or ["``"]))
    return f"{marks}text\n{text.strip()}\n{marks}"


def _cell(text: str) -> str:
    return quiet(text.replace("|", "\\|").replace("\n", " "))[:300]


def _mapping(gate: GateResult | None, key: str) -> dict[str, str]:
    value = gate.evidence.get(key) if gate is not None else None
    return {str(name): str(kind) for name, kind in value.items()} if isinstance(value, dict) else {}


def _items(gate: GateResult | None, key: str) -> Sequence[object]:
    value = gate.evidence.get(key) if gate is not None else None
    return value if isinstance(value, list | tuple) else ()
