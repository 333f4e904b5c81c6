"""A flow file being read: its text, the place of every value, and what is wrong with it."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from pipeline.errors import UsageProblem
from pipeline.language.diagnostics import Diagnostic, Mark, did_you_mean, render

Path = tuple[str | int, ...]


class Source:
    """A flow file being read: its texts by file name, the places of its values, its complaints.

    It `is_torn` when parts of the text could not be taken into the tree at all.
    """

    def __init__(self, text: str, name: str) -> None:
        """Start with no complaints; `name` is how messages call the file."""
        self.texts = {name: text}
        self.name = name
        self.complaints: list[Diagnostic] = []
        self.is_torn = False
        self.removed: dict[str, Mark] = {}
        self._marks: dict[Path, Mark] = {}
        self._keys: dict[Path, Mark] = {}
        self._texts: dict[Path, Mark] = {}
        self._broken: set[Path] = set()

    def complain(
        self, code: str, path: Path, message: str, mend: str = "", *, missing: str = ""
    ) -> None:
        """Add a complaint at the place of `path` (whose key `missing` is not there), unless one stands around it."""
        value = (*path, missing) if missing else path
        if not self.is_broken(value):
            self._broken.add(value)
            self.complaints.append(
                Diagnostic(code=code, message=message, mark=self.mark(path), help=mend)
            )

    def complain_key(self, code: str, path: Path, message: str, mend: str = "") -> None:
        """Add a complaint at the key of `path` instead of at its value."""
        if not self.is_broken(path):
            self._broken.add(path)
            mark = self._keys.get(path, self.mark(path))
            self.complaints.append(Diagnostic(code=code, message=message, mark=mark, help=mend))

    def complain_at(self, code: str, path: Path, offset: int, message: str, mend: str = "") -> None:
        """Add a complaint about the letter at `offset` of the text at `path`."""
        self._broken.add(path)
        mark = self._letter(self._texts.get(path, self.mark(path)), offset)
        self.complaints.append(Diagnostic(code=code, message=message, mark=mark, help=mend))

    def _letter(self, mark: Mark, offset: int) -> Mark:
        """Find a letter of a text that begins at `mark`.

        Plain, in quotes, or as a block of lines.
        """
        lines = self.texts.get(mark.file, "").splitlines()
        begin = (
            lines[mark.line - 1][mark.column - 1 : mark.column]
            if 0 < mark.line <= len(lines)
            else ""
        )
        if begin not in {"|", ">"}:
            column = mark.column + offset + (begin in {"'", '"'})
            return msgspec.structs.replace(mark, column=column, width=1)
        block = lines[mark.line :]
        first = next((index for index, line in enumerate(block) if line.strip()), 0)
        indent = len(block[first]) - len(block[first].lstrip()) if block else 0
        for index, line in enumerate(block[first:]):
            length = len(line[indent:]) + 1
            if offset < length:
                return Mark(mark.line + 1 + first + index, indent + offset + 1, 1, mark.file)
            offset -= length
        return Mark(mark.line + 1 + first, indent + 1, 1, mark.file)

    def is_broken(self, path: Path) -> bool:
        """Tell whether a complaint stands at `path` or at something around it."""
        return any(path[:length] in self._broken for length in range(1, len(path) + 1))

    def is_broken_below(self, path: Path) -> bool:
        """Tell whether a complaint stands at `path`, around it or below it."""
        return self.is_broken(path) or any(broken[: len(path)] == path for broken in self._broken)

    def has_broken_key(self, path: Path) -> bool:
        """Tell whether a complaint stands at a key of the mapping at `path`."""
        return any(len(broken) == len(path) + 1 and broken[:-1] == path for broken in self._broken)

    def has_key(self, path: Path) -> bool:
        """Tell whether something stands at exactly this path."""
        return path in self._marks

    def require_known(
        self,
        path: Path,
        word: str,
        known: Collection[str] | Mapping[str, object],
        what: str,
        code: str = "F201",
    ) -> None:
        """Complain when the word at `path` is not among those known.

        At the line that took it away, if one did.
        """
        if word not in known and word in self.removed and not self.is_broken(path):
            there = where(path[:-1] if isinstance(path[-1], int) else path)
            message = f"{there} still names {word!r}, which is taken away here"
            self._broken.add(path)
            mend = f"change {there} too"
            self.complaints.append(
                Diagnostic(code=code, message=message, mark=self.removed[word], help=mend)
            )
        elif word not in known:
            self.complain(code, path, f"there is no {what} {word!r}", did_you_mean(word, known))

    def note(self, path: Path, mark: Mark) -> None:
        """Remember where the value at `path` stands."""
        self._marks[path] = mark

    def note_key(self, path: Path, mark: Mark) -> None:
        """Remember where the key of `path` stands."""
        self._marks[path] = self._keys[path] = mark

    def note_text(self, path: Path, mark: Mark) -> None:
        """Remember where the text at `path` begins."""
        self._marks[path] = self._texts[path] = mark

    def mark(self, path: Path) -> Mark:
        """Return the place of `path`, or of the nearest thing around it."""
        while path and path not in self._marks:
            path = path[:-1]
        return self._marks.get(path, Mark(1, 1, 1, self.name))

    def raise_complaints(self) -> None:
        """Raise all complaints as one `FlowProblem`; return when there are none."""
        if self.complaints:
            raise FlowProblem(render(self.complaints, self.texts, self.name), self.complaints)


class FlowProblem(UsageProblem):
    """A flow file with mistakes; they are there one by one, too."""

    def __init__(self, what: str, complaints: Sequence[Diagnostic]) -> None:
        """Keep the complaints."""
        super().__init__(what)
        self.complaints = tuple(complaints)


def where(path: Path) -> str:
    """Name a place of the file for a message."""
    return ".".join(str(part) for part in path) or "the file"
