"""The lines of Rust's test harness: `running N tests`, one for each test, and `test result:`.

With one thread it prints `test NAME ... ` before the test runs, so what the test's children print
stands between that and the outcome.
"""

import re
from collections.abc import Iterator

import msgspec

_RUNNING = re.compile(r"^running (\d+) tests?$")
_RESULT = re.compile(
    r"^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored; (\d+) measured"
)
_TEST = re.compile(r"^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)(?:, (.+))?$")
_BEGUN = re.compile(r"^test (.+?)(?: - should panic)? \.\.\. ")
_ENDED = re.compile(r"(ok|FAILED|ignored)(?:, (.+))?$")


class Block(msgspec.Struct):
    """What the harness printed of one program: its tests as (name, word, why it was ignored).

    `is_whole` says that the harness came to its end, and knows of as many tests as it began with
    and of as many passed ones as were printed.
    """

    count: int
    results: list[tuple[str, str, str]]
    is_whole: bool = False


def blocks(lines: list[str]) -> Iterator[Block]:
    """Yield what was printed of each program, in order."""
    block: Block | None = None
    begun = before = ""
    for line in lines:
        # Before its own line the harness prints an empty one; a test's children may print others.
        is_own, before = not begun or not before, line
        if is_own and (match := _RUNNING.match(line)) is not None:
            if block is not None:
                yield block
            block, begun = Block(int(match.group(1)), []), ""
        elif block is None:
            continue
        elif (result := _RESULT.match(line)) is not None:
            known = sum(map(int, result.groups()))
            printed = sum(word == "ok" for _, word, _ in block.results)
            block.is_whole = known == block.count and printed <= int(result.group(1))
            yield block
            block, begun = None, ""
        elif (test := _TEST.match(line)) is not None:
            block.results.append((test.group(1), test.group(2), test.group(3) or ""))
            begun = ""
        elif (start := _BEGUN.match(line)) is not None:
            begun = start.group(1)
        elif begun and (ended := _ENDED.search(line)) is not None:
            block.results.append((begun, ended.group(1), ended.group(2) or ""))
            begun = ""
    if block is not None:
        yield block
