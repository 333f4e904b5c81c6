"""What changed between a base commit and a tree, file by file, for display."""

import msgspec

from pipeline.repo.store import Store

_WORDS = {"A": "new", "M": "changed", "D": "removed", "T": "changed kind"}


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """One changed file: what happened to it, and its line counts (`None` for a binary file)."""

    path: str
    what: str
    added: int | None
    removed: int | None

    @property
    def lines(self) -> str:
        """The counts as text, such as `+12 -3`."""
        return f"+{_count(self.added)} -{_count(self.removed)}"


def changes(store: Store, base: str, tree: str) -> list[FileChange]:
    """List the files that differ between a base commit and a tree."""
    options = ("-r", "-z", "--no-renames", "--numstat")
    fields = store.git("diff-tree", *options, base, tree).split("\0")
    counts = {}
    for line in filter(None, fields):
        added, removed, path = line.split("\t", 2)
        counts[path] = (_number(added), _number(removed))
    return [
        FileChange(
            path=change.path,
            what=_WORDS.get(change.status, change.status),
            added=counts.get(change.path, (0, 0))[0],
            removed=counts.get(change.path, (0, 0))[1],
        )
        for change in store.diff(store.tree_of(base), tree)
    ]


def _number(text: str) -> int | None:
    return None if text == "-" else int(text)


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)
