"""A flow file being read: its text, the place of every value, and the errors reported so far."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from pipeline.errors import UsageProblem
from pipeline.language.diagnostics import Diagnostic, Mark, did_you_mean, render

Path = tuple[str | int, ...]


class Source:
    """A flow file being read: its texts by file name, the places of its values, its errors.

    It `is_incomplete` when parts of the text could not be taken into the tree at all. At most one
    error is reported for a value and everything inside it: what follows from a first error would
    only hide it.
    """

    def __init__(self, text: str, name: str) -> None:
        """Start without errors; `name` is what messages call the file."""
        self.texts = {name: text}
        self.name = name
        self.diagnostics: list[Diagnostic] = []
        self.is_incomplete = False
        self.removed: dict[str, Mark] = {}
        self._marks: dict[Path, Mark] = {}
        self._keys: dict[Path, Mark] = {}
        self._texts: dict[Path, Mark] = {}
        self._with_error: set[Path] = set()

    def error(
        self, code: str, path: Path, message: str, hint: str = "", *, missing: str = ""
    ) -> None:
        """Report an error at the value of `path`, or that its key `missing` is not there."""
        value = (*path, missing) if missing else path
        if not self.has_error(value):
            self._report(code, value, self.mark(path), message, hint)

    def error_at_key(self, code: str, path: Path, message: str, hint: str = "") -> None:
        """Report an error at the key of `path` instead of at its value."""
        if not self.has_error(path):
            self._report(code, path, self._keys.get(path, self.mark(path)), message, hint)

    def error_at_offset(
        self, code: str, path: Path, offset: int, message: str, hint: str = ""
    ) -> None:
        """Report an error at the character at `offset` of the text at `path`."""
        mark = self._character(self._texts.get(path, self.mark(path)), offset)
        self._report(code, path, mark, message, hint)

    def _report(self, code: str, path: Path, mark: Mark, message: str, hint: str) -> None:
        self._with_error.add(path)
        self.diagnostics.append(Diagnostic(code=code, message=message, mark=mark, help=hint))

    def _character(self, mark: Mark, offset: int) -> Mark:
        """Return the place of a character of a text that begins at `mark`.

        The text can be plain, in quotes, or a block of lines.
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

    def has_error(self, path: Path) -> bool:
        """Return whether an error was reported at `path` or at something around it."""
        return any(path[:length] in self._with_error for length in range(1, len(path) + 1))

    def has_error_below(self, path: Path) -> bool:
        """Return whether an error was reported at `path`, around it or below it."""
        return self.has_error(path) or any(other[: len(path)] == path for other in self._with_error)

    def has_key_error(self, path: Path) -> bool:
        """Return whether an error was reported at a key of the mapping at `path`."""
        return any(len(other) == len(path) + 1 and other[:-1] == path for other in self._with_error)

    def has_key(self, path: Path) -> bool:
        """Return whether the file has a value at exactly this path."""
        return path in self._marks

    def require_known(
        self,
        path: Path,
        word: str,
        known: Collection[str] | Mapping[str, object],
        what: str,
        code: str = "F201",
    ) -> None:
        """Report an error when the word at `path` is not a known one.

        If a file with `extends` removed it, the error points at the line that did.
        """
        if word not in known and word in self.removed and not self.has_error(path):
            user = where(path[:-1] if isinstance(path[-1], int) else path)
            message = f"{user} still names {word!r}, which is removed here"
            self._report(code, path, self.removed[word], message, f"change {user} too")
        elif word not in known:
            self.error(code, path, f"there is no {what} {word!r}", did_you_mean(word, known))

    def note(self, path: Path, mark: Mark) -> None:
        """Remember the place of the value at `path`."""
        self._marks[path] = mark

    def note_key(self, path: Path, mark: Mark) -> None:
        """Remember the place of the key of `path`."""
        self._marks[path] = self._keys[path] = mark

    def note_text(self, path: Path, mark: Mark) -> None:
        """Remember where the text at `path` begins."""
        self._marks[path] = self._texts[path] = mark

    def mark(self, path: Path) -> Mark:
        """Return the place of `path`, or of the nearest thing around it."""
        while path and path not in self._marks:
            path = path[:-1]
        return self._marks.get(path, Mark(1, 1, 1, self.name))

    def raise_errors(self) -> None:
        """Raise all errors as one `FlowProblem`; return when there are none."""
        if self.diagnostics:
            raise FlowProblem(render(self.diagnostics, self.texts, self.name), self.diagnostics)


class FlowProblem(UsageProblem):
    """A flow file with errors: as one text, and one by one in `diagnostics`."""

    def __init__(self, what: str, diagnostics: Sequence[Diagnostic]) -> None:
        """Keep the diagnostics."""
        super().__init__(what)
        self.diagnostics = tuple(diagnostics)


def where(path: Path) -> str:
    """Return how a message names a place of the file."""
    return ".".join(str(part) for part in path) or "the file"
