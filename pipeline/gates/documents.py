"""Gate `documents`: a change of the source has a line in the changelog, if there is one.

It goes back once; after that the pull request says that the line is missing.
"""

import re

from pipeline.core.evidence import DocumentsEvidence, GateResult
from pipeline.gates.base import GateContext, make_result
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.target import Target

_LOGS = (
    "**/CHANGELOG*", "**/CHANGES*", "**/HISTORY*", "**/NEWS*", "**/RELEASE*", "**/release-notes/**",
    "**/changelog.d/**", "**/changes/**", "**/changelog/**", "**/newsfragments/**", "**/news/**",
    "**/.changeset/**", "**/releasenotes/**", "**/whatsnew/**",
)  # fmt: skip
"""Changelogs, and the folders of tools that make one from fragments, such as towncrier."""

_TITLE = re.compile(
    r"\s*(?:\.\. .*\n|=+\n|<!--.*?-->|\s)*#*\s*(?:(?:project|full)\s+)?"
    r"(?:change\s?logs?|changes|(?:version|release|change)\s+history|history|release\s+notes|"
    r"news|what.?s\s+new)\b",
    re.IGNORECASE,
)
_HEAD_BYTES = 500
"""A document that calls itself a changelog, whatever its file is called."""


def check(context: GateContext) -> GateResult:
    """Look for a change in the changelog of each target whose source has changed."""
    changed = [one.path for one in context.store.diff(context.base_tree, context.tree)]
    looked = [target for target in context.affected() if _logs(context, target)]
    touched = [target for target in looked if _any(changed, target.source)]
    missing = [target for target in touched if not _logs_in(context, changed, target)]
    failures = [
        f"{target.name}: the source has changed, and {_shown(context, target)} has no line about it"
        for target in missing
    ]
    is_told = GateName.DOCUMENTS in context.refused
    goes_back = failures if context.has_next_round and not is_told else []
    why = "" if looked else "no target has a changelog among its `docs`"
    why = why or ("" if touched else "the source has not changed")
    good = "; ".join(failures) or "the changelog has a line about the change"
    return make_result(
        context,
        GateName.DOCUMENTS,
        failures=goes_back,
        not_applicable=why,
        good=good,
        evidence=DocumentsEvidence(missing=tuple(failures)),
    )


def _any(paths: list[str], patterns: tuple[str, ...]) -> bool:
    return any(globs.matches_any(patterns, path) for path in paths)


def _logs_in(context: GateContext, paths: list[str], target: Target) -> list[str]:
    return [
        path
        for path in paths
        if globs.matches_any(target.docs, path)
        and (globs.matches_any(_LOGS, path) or _is_titled(context, path))
    ]


def _is_titled(context: GateContext, path: str) -> bool:
    if not path.endswith((".md", ".rst", ".txt", ".adoc")):
        return False
    data = context.store.read(context.base_tree, path) or b""
    return bool(_TITLE.match(data[:_HEAD_BYTES].decode("utf-8", "replace")))


def _logs(context: GateContext, target: Target) -> list[str]:
    """List the target's changelog files on the base."""
    return _logs_in(context, list(context.store.paths(context.base_tree)), target)


def _shown(context: GateContext, target: Target) -> str:
    logs = _logs(context, target)
    return min(logs, key=lambda path: (path.count("/"), path))
