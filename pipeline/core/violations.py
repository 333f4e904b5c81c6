"""What a stage did that it may not: a kind that code can decide by, and the path concerned."""

from enum import StrEnum

import msgspec


class ViolationKind(StrEnum):
    """The rules that a stage can break."""

    OUTSIDE_ITS_PATHS = "outside_its_paths"
    PROTECTED_PATH = "protected_path"
    NESTED_REPOSITORY = "nested_repository"
    SPECIAL_FILE = "special_file"
    UNPRINTABLE_NAME = "unprintable_name"
    NOT_IN_GIT = "not_in_git"
    CASE_COLLISION = "case_collision"
    PATH_TOO_LONG = "path_too_long"
    TOO_LARGE = "too_large"
    FILTER_FAILED = "filter_failed"
    SUBMODULE = "submodule"
    LINK_OUTSIDE = "link_outside"
    WORKSPACE_REMOVED = "workspace_removed"
    COPY_OF_IGNORED_FILE = "copy_of_ignored_file"
    SECRET_WRITTEN = "secret_written"  # noqa: S105 - the name of a rule


_WORDS = {
    ViolationKind.OUTSIDE_ITS_PATHS: "outside the paths of this stage",
    ViolationKind.PROTECTED_PATH: "protected, no stage may write it",
    ViolationKind.NESTED_REPOSITORY: "a git repository inside the workspace",
    ViolationKind.SPECIAL_FILE: "neither a file nor a folder nor a link",
    ViolationKind.UNPRINTABLE_NAME: "a name that is not plain text",
    ViolationKind.NOT_IN_GIT: "a name that git cannot hold",
    ViolationKind.CASE_COLLISION: "differs only in case",
    ViolationKind.PATH_TOO_LONG: "a path that is too long to be read",
    ViolationKind.TOO_LARGE: "too large",
    ViolationKind.FILTER_FAILED: "its filter cannot store it",
    ViolationKind.SUBMODULE: "a submodule",
    ViolationKind.LINK_OUTSIDE: "a link out of the workspace",
    ViolationKind.WORKSPACE_REMOVED: "the workspace itself was taken away",
    ViolationKind.COPY_OF_IGNORED_FILE: "a copy of a file that git ignores",
    ViolationKind.SECRET_WRITTEN: "the value of a secret stands in what the stage wrote",
}


_NAME_MAX_CHARACTERS = 240


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One broken rule; `path` is the file, `detail` more words.

    Of a secret the detail is its name, and the path the file that holds it or has it in its name;
    without a detail the path is the name.
    """

    kind: ViolationKind
    path: str = ""
    detail: str = ""

    def __str__(self) -> str:
        """Describe it in one line; a name that could steer a terminal is escaped."""
        words = _WORDS[self.kind]
        if self.kind is ViolationKind.SECRET_WRITTEN:
            return f"{_secret(self.detail or self.path)} stands in {self._where}"
        path = self.path
        if len(path) > _NAME_MAX_CHARACTERS:
            path = f"{path[:_NAME_MAX_CHARACTERS]}... ({len(path)} characters)"
        name = path if path.isprintable() and _encodes(path) else ascii(path)
        detail = f" ({self.detail})" if self.detail else ""
        return f"{name}: {words}{detail}" if self.path else f"{words}{detail}"

    @property
    def _where(self) -> str:
        return ascii(self.path)[1:-1] if self.detail else "what the stage wrote"


def _secret(name: str) -> str:
    """Describe a secret by its name: that of a variable, or of the file where a login lies."""
    is_variable = name.isidentifier()
    return f"the value of ${name}" if is_variable else f"a secret ({name})"


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
