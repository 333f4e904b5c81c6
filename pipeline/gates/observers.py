"""What a change brings into the test process from the side of the source.

A conftest, a plugin or a `sitecustomize` there runs inside the tests, and source can ask whether it
is being tested. Neither is forbidden for ever; but nobody asked for it, so it goes back once, and
is refused when the person's own command ends otherwise without it.
"""

import difflib
import re
from collections.abc import Iterator

_FILES = re.compile(
    r"(?:^|/)(?:conftest\.py|sitecustomize\.py|usercustomize\.py|[^/]+\.pth|jest\.setup\.\w+"
    r"|vitest\.setup\.\w+)$"
)
_ASKS = re.compile(
    r"PYTEST_CURRENT_TEST|PYTEST_VERSION|IDEA_TO_PR_|idea_to_pr|JEST_WORKER_ID|VITEST\b|import\.meta\.vitest"
    r"|NODE_TEST_CONTEXT|['\"](?:pytest|_pytest|unittest)['\"]\s+(?:not\s+)?in\s+sys\.modules"
    r"|sys\.modules\.get\(['\"]_?pytest|testing\.Testing\(\)|NODE_ENV\s*[!=]==?\s*['\"]test"
    r"|^\s*(?:import|from)\s+_?pytest\b|pytest_plugins|pytest11|flag\.Lookup\(['\"]test\."
)


def brought_in(path: str, before: str, after: str) -> Iterator[str]:
    """Yield what a changed source file brings into the test process; only added lines count."""
    if _FILES.search(path):
        yield f"{path}: runs inside the tests, and is no test file"
        return
    old, new = before.splitlines(), after.splitlines()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, _, _, start, end in matcher.get_opcodes():
        if tag not in {"insert", "replace"}:
            continue
        for number in range(start, end):
            if _ASKS.search(new[number]):
                yield f"{path}:{number + 1}: asks whether it is being tested: {new[number].strip()}"
