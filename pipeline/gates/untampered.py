"""Gate `untampered`: what judges the change is what it was when the tests were delivered.

The tests are byte for byte the delivered ones, old tests that stand in source files say what they
said, no setting of tests, coverage or lint was loosened, and the source brings nothing into the
test process: that goes back once, and is refused when the person's own command ends otherwise
without it.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from pipeline.core.evidence import GateResult, RedEvidence, UntamperedEvidence
from pipeline.gates.base import GateContext, make_result
from pipeline.gates.observers import Observer, ObserverKind, brought_in, without_hunks
from pipeline.gates.settings import loosened
from pipeline.gates.settings_files import is_settings, put_before
from pipeline.gates.tests_in_source import rewritten_in_source
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.schemas import TestDelivery

_PYTEST_FILES = ("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
"""Where pytest's options may stand."""

_IMPORTS = re.compile(
    r"^\s*(?:import|from)\s+(?:_?pytest|unittest|django\.test)\b"
    r"|(?:from|require\()\s*['\"](?:node:test|vitest|@jest/globals|expect)['\"]",
    re.MULTILINE,
)
_TOP = re.compile(r"^(?:(?:src|lib)/)?(?:(?P<module>\w+)\.py|(?P<package>\w+)/__init__\.py)$")


def check(context: GateContext) -> GateResult:
    """Compare the tree with that of the red gate; without one, with the base."""
    delivered = context.red.tree if context.red is not None else context.base_tree
    changes = context.store.diff(delivered, context.tree)
    paths = [one.path for one in changes]
    changed = [path for path in paths if globs.matches_any(context.tests(), path)]
    settings = _settings(context)
    found = _observers(context, [path for path in paths if path not in changed])
    failures = [f"{path}: changed after the tests were delivered" for path in changed]
    failures += _in_source(context, delivered, [path for path in paths if path not in changed])
    failures += [
        f"{line}; the tests may need it: then tests.json names it (settings)" for line in settings
    ]
    if found and not failures:
        decides = _decides(context, found)
        if decides or (context.has_next_round and not _is_told(context)):
            failures += [f"{one}; leave it out" for one in found]
        if decides:
            failures.append(f"without it the test command ends otherwise: {decides}")
    return make_result(
        context,
        GateName.UNTAMPERED,
        failures=failures,
        good=f"tests as delivered in tree {delivered[:12]}"
        + (f"; inside the tests: {'; '.join(map(str, found))}" if found else ""),
        evidence=UntamperedEvidence(
            delivered=delivered,
            changed=tuple(changed),
            settings=tuple(settings),
            observers=tuple(map(str, found)),
        ),
    )


def _is_told(context: GateContext) -> bool:
    """Return whether an earlier round was sent back for what it brought into the tests."""
    refused = context.refused.get(GateName.UNTAMPERED)
    evidence = refused.evidence if refused is not None else None
    return isinstance(evidence, UntamperedEvidence) and bool(evidence.observers)


def _settings(context: GateContext) -> list[str]:
    named = {one.key for one in _delivery(context).settings}
    changes = context.store.diff(context.base_tree, context.tree)
    files = {
        one.path: (
            _text(context, context.base_tree, one.path),
            _text(context, context.tree, one.path),
        )
        for one in changes
        if is_settings(one.path)
    }
    new = [one.path for one in changes if one.status == "A"]
    return [
        *loosened(files, named.__contains__),
        *put_before(new, lambda path: _text(context, context.tree, path), named.__contains__),
    ]


def _in_source(context: GateContext, delivered: str, paths: list[str]) -> list[str]:
    """Return messages about old tests in source files that are no longer what they were."""
    texts = {
        path: (_text(context, delivered, path), _text(context, context.tree, path))
        for path in paths
    }
    found: dict[str, None] = {}
    for target in context.affected():
        reported = context.bench.baseline(context.base_tree, target).files()
        files = (str(PurePosixPath(target.folder, name)) for name in _PYTEST_FILES)
        options = [_text(context, context.base_tree, path) for path in files]
        options.append(target.test.command)
        found |= dict.fromkeys(
            rewritten_in_source(texts, reported, _delivery(context), "\n".join(options))
        )
    return list(found)


def _delivery(context: GateContext) -> TestDelivery:
    evidence = context.red.evidence if context.red is not None else None
    return evidence.delivery if isinstance(evidence, RedEvidence) else TestDelivery()


def _observers(context: GateContext, paths: Sequence[str]) -> list[Observer]:
    found = [
        one
        for path in paths
        for one in brought_in(
            path, _text(context, context.base_tree, path), _text(context, context.tree, path)
        )
    ]
    hidden = {one.path for one in found}
    return found + [
        Observer(path=path, kind=ObserverKind.HIDES)
        for path in _hiding(context, paths)
        if path not in hidden
    ]


def _decides(context: GateContext, found: Sequence[Observer]) -> str:
    """Return how the person's command ends without these changes, if that is otherwise.

    Whole files that run inside the tests are taken away; of others only the hunks with such lines,
    and only where the file is old: without a new file everything that needs it would fail.
    """
    whole = {one.path for one in found if not one.line}
    without = context.store.graft_paths(context.tree, context.base_tree, whole)
    own = _tests_are_its_work(context)
    lines: dict[str, set[int]] = {}
    for one in found:
        if one.line and one.kind is not ObserverKind.SILENCES:
            if own and _IMPORTS.match(one.text):
                continue
            lines.setdefault(one.path, set()).add(one.line)
    for path, numbers in lines.items():
        if before := _text(context, context.base_tree, path):
            text = without_hunks(before, _text(context, context.tree, path), numbers)
            without = context.store.with_file(without, path, text.encode())
    for target in context.affected() if without != context.tree else ():
        now = context.bench.own(context.tree, target)
        then = context.bench.own(without, target)
        if not now.problem and not then.problem and now.code != then.code:
            return f"{target.test.command}: exit status {then.code} instead of {now.code}"
    return ""


def _tests_are_its_work(context: GateContext) -> bool:
    """Return whether the base's source imports a test framework: a plugin, helpers for tests."""
    return any(
        _IMPORTS.search(_text(context, context.base_tree, path))
        for path in context.store.paths(context.base_tree)
        if _is_source(context, path)
    )


def _hiding(context: GateContext, paths: Sequence[str]) -> list[str]:
    """List new modules at the top of the source named like an installed package that tests use."""
    before = set(context.store.paths(context.base_tree))
    tops = {
        path: name
        for path in paths
        if path not in before and (name := _top_module(path)) and _is_source(context, path)
    }
    used = {name for name in tops.values() if _is_used_by_tests(context, name)}
    return [path for path, name in tops.items() if name in used and _is_installed(context, name)]


def _top_module(path: str) -> str:
    """Return the name that a file in a root of the import path is imported by; else nothing."""
    match = _TOP.match(path)
    return (match["module"] or match["package"]) if match else ""


def _is_used_by_tests(context: GateContext, name: str) -> bool:
    pattern = re.compile(rf"^\s*(?:import|from)\s+{re.escape(name)}\b", re.MULTILINE)
    return any(
        pattern.search(_text(context, context.tree, path))
        for path in context.store.paths(context.tree)
        if path.endswith(".py") and globs.matches_any(context.tests(), path)
    )


def _is_installed(context: GateContext, name: str) -> bool:
    """Return whether the base's own environment has a module of this name."""
    command = f"python -c 'import importlib.util as u, sys; sys.exit(not u.find_spec(\"{name}\"))'"
    found = context.bench.check(context.base_tree, command, context.targets[0])
    return found.code == 0 and not found.problem


def _is_source(context: GateContext, path: str) -> bool:
    return globs.matches_any(context.sources(), path) and not globs.matches_any(
        context.tests(), path
    )


def _text(context: GateContext, tree: str, path: str) -> str:
    return (context.store.read(tree, path) or b"").decode(errors="replace")
