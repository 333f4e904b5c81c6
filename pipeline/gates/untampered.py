"""Gate `untampered`: what judges the change is what it was when the tests were delivered.

The tests are byte for byte the delivered ones, old tests that stand in source files say what they
said, no setting of tests, coverage or lint was loosened, and the source brings nothing into the
test process: that goes back once, and is refused when the person's own command ends otherwise
without it.
"""

from pathlib import PurePosixPath

from pipeline.core.evidence import GateResult, RedEvidence, UntamperedEvidence
from pipeline.gates.base import GateContext, make_result
from pipeline.gates.observers import brought_in
from pipeline.gates.settings import is_settings, loosened
from pipeline.gates.tests_in_source import rewritten_in_source
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.schemas import TestDelivery

_PYTEST_FILES = ("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
"""Where pytest's options may stand."""


def check(context: GateContext) -> GateResult:
    """Compare the tree with that of the red gate; without one, with the base."""
    delivered = context.red.tree if context.red is not None else context.base_tree
    changes = context.store.diff(delivered, context.tree)
    paths = [one.path for one in changes]
    changed = [path for path in paths if globs.matches_any(context.tests(), path)]
    settings = _settings(context)
    observers = dict(_observers(context, [path for path in paths if path not in changed]))
    failures = [f"{path}: changed after the tests were delivered" for path in changed]
    failures += _in_source(context, delivered, [path for path in paths if path not in changed])
    failures += [
        f"{line}; the tests may need it: then tests.json names it (settings)" for line in settings
    ]
    found = [line for lines in observers.values() for line in lines]
    if observers and not failures:
        decides = _decides(context, set(observers))
        if decides or context.has_next_round:
            failures += [f"{line}; leave it out" for line in found]
        if decides:
            failures.append(f"without it the test command ends otherwise: {decides}")
    return make_result(
        context,
        GateName.UNTAMPERED,
        failures=failures,
        good=f"tests as delivered in tree {delivered[:12]}"
        + (f"; inside the tests: {'; '.join(found)}" if found else ""),
        evidence=UntamperedEvidence(
            delivered=delivered,
            changed=tuple(changed),
            settings=tuple(settings),
            observers=tuple(found),
        ),
    )


def _settings(context: GateContext) -> list[str]:
    named = {one.key for one in _delivery(context).settings}
    files = {
        one.path: (
            _text(context, context.base_tree, one.path),
            _text(context, context.tree, one.path),
        )
        for one in context.store.diff(context.base_tree, context.tree)
        if is_settings(one.path)
    }
    return list(loosened(files, named.__contains__))


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


def _observers(context: GateContext, paths: list[str]) -> dict[str, list[str]]:
    found = {
        path: list(
            brought_in(
                path,
                _text(context, context.base_tree, path),
                _text(context, context.tree, path),
            )
        )
        for path in paths
    }
    return {path: lines for path, lines in found.items() if lines}


def _decides(context: GateContext, paths: set[str]) -> str:
    """Return how the person's command ends without these files' changes, if that is otherwise."""
    without = context.store.graft_paths(context.tree, context.base_tree, paths)
    for target in context.affected():
        now = context.bench.own(context.tree, target)
        then = context.bench.own(without, target)
        if not now.problem and not then.problem and now.code != then.code:
            return f"{target.test.command}: exit status {then.code} instead of {now.code}"
    return ""


def _text(context: GateContext, tree: str, path: str) -> str:
    return (context.store.read(tree, path) or b"").decode(errors="replace")
