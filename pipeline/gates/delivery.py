"""What the test stage says of its tests (`tests.json`), looked up by the names in reports."""

from collections.abc import Iterable, Mapping

from pipeline.gates.functions import function_of, plain_name
from pipeline.language.schemas import NamedTest, TestDelivery

_NAMES_SHOWN = 10


class DeliveredNames:
    """The names of a delivery in one form: `tests/test_a.py::test_b` is `tests.test_a::test_b`."""

    def __init__(self, delivery: TestDelivery) -> None:
        """Read the names once."""
        self._delivery = delivery
        self._changed = _plain(delivery.changed)
        self._kept = _plain(delivery.kept)
        self._gone = _plain(delivery.removed) | {
            plain_name(one.was) for one in delivery.kept if one.was
        }
        self._guards = _plain(delivery.guards)
        self._skipped = _plain(delivery.skipped)

    def is_changed(self, name: str) -> bool:
        """Return whether a test is said to be changed: it has to fail on the base."""
        return _among(name, self._changed)

    def may_pass(self, name: str) -> bool:
        """Return whether a new test is said to pass already: a guard, or an old one moved here."""
        return _among(name, self._guards) or _among(name, self._kept)

    def may_skip(self, name: str) -> bool:
        """Return whether a test may be skipped."""
        return _among(name, self._skipped)

    def may_be_gone(self, name: str) -> bool:
        """Return whether an old test is said to be removed, renamed or moved."""
        return _among(name, self._gone)

    def may_be_rewritten(self, file: str, function: str, reported: Mapping[str, str]) -> bool:
        """Return whether a test of a file, as the file calls it, is named in any way.

        `reported` are the tests of all reports, each with its file.
        """
        delivery = self._delivery
        said = [one.name for one in (*delivery.changed, *delivery.kept, *delivery.removed)]
        said += [one.was for one in delivery.kept if one.was]
        return any(is_named(name, file, function, reported) for name in said)

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Return messages about names that no report knows, with those there are."""
        known = {plain_name(name) for name in names} | {
            plain_name(function_of(name)) for name in names
        }
        delivery = self._delivery
        said = [
            *(one.name for one in delivery.changed),
            *(one.name for one in delivery.kept),
            *(one.name for one in delivery.guards),
            *(one.name for one in delivery.removed),
            *(one.was for one in delivery.kept if one.was),
        ]
        missing = [name for name in said if plain_name(name) not in known]
        if not missing:
            return []
        shown = ", ".join(sorted(names)[:_NAMES_SHOWN])
        more = len(set(names)) - _NAMES_SHOWN
        there = f"the tests are {shown}" + (f" and {more} more" if more > 0 else "")
        return [f"tests.json: there is no test {name}; {there}" for name in missing]


def is_named(name: str, file: str, function: str, reported: Mapping[str, str]) -> bool:
    """Return whether a name in tests.json means this function of this file.

    It may be the path of the file and its own name for the test, or a name as a report has it, if
    that is a test of the file; Rust reports the root of a crate for all files of it.
    """
    plain, own, inside = plain_name(name), plain_name(function), plain_name(f"{file}::")
    if plain.startswith(inside):
        return _ends_with(function_of(plain.removeprefix(inside), file), own)
    return any(
        _ends_with(plain_name(function_of(one, there)), own)
        for one, there in reported.items()
        if plain in {plain_name(one), plain_name(function_of(one, there))}
        and (there in {file, ""} or (there.endswith(".rs") and file.endswith(".rs")))
    )


def _ends_with(plain: str, own: str) -> bool:
    return plain == own or plain.endswith((f".{own}", f" {own}"))


def _plain(tests: Iterable[NamedTest]) -> set[str]:
    return {plain_name(one.name) for one in tests}


def _among(name: str, names: set[str]) -> bool:
    return plain_name(name) in names or plain_name(function_of(name)) in names
