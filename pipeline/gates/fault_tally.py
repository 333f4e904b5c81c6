"""The results of the single faults that gate `proof` tries, for all targets together."""

import msgspec

from pipeline.core.evidence import FaultEvidence, GateVerdict, Survivor, UntriedFile
from pipeline.gates.faults import Fault, FaultKind


class FaultTally(msgspec.Struct):
    """The results of faults so far, for all targets together."""

    noticed: int = 0
    noticed_by_old: int = 0
    """Faults, bodies among them, that old tests noticed and no new one did."""

    survivors: list[Survivor] = []
    bodies_noticed: int = 0
    bodies_missed: list[Survivor] = []
    broken: int = 0
    untried: list[UntriedFile] = []
    not_tried: int = 0
    switched_off: bool = True
    is_told: bool = False
    """Whether a fault was tried that is more than a hunk undone: those may not matter alone."""

    places: dict[str, bool] = {}
    """Every function and hunk that was asked about: whether any of its faults was noticed."""

    def add(self, path: str, fault: Fault, *, is_noticed: bool, by_old: bool = False) -> None:
        """Count a fault that was tried to its end: noticed by new tests, or by old ones alone."""
        place = f"{path}: {fault.where}"
        self.places[place] = self.places.get(place, False) or is_noticed or by_old
        self.is_told = self.is_told or fault.kind is not FaultKind.HUNK
        if by_old and not is_noticed:
            self.noticed_by_old += 1
            return
        survivor = Survivor(file=path, line=fault.line, what=fault.what)
        if fault.kind.is_body:
            self.bodies_noticed += is_noticed
            self.bodies_missed += [] if is_noticed else [survivor]
        else:
            self.noticed += is_noticed
            self.survivors += [] if is_noticed else [survivor]

    def evidence(self) -> FaultEvidence:
        """Return the results as evidence; if no fault was tried, with the reason."""
        bodies = self.bodies_noticed + len(self.bodies_missed)
        verdict = GateVerdict.NOT_APPLICABLE
        if self.noticed or self.bodies_noticed:
            verdict = GateVerdict.PASSED
        elif self.is_told:
            verdict = GateVerdict.FAILED
        return FaultEvidence(
            verdict=verdict,
            why=self._why_none() if verdict is GateVerdict.NOT_APPLICABLE else "",
            noticed=self.noticed,
            noticed_by_old=self.noticed_by_old,
            survivors=(*self.survivors, *self.bodies_missed),
            bodies_noticed=self.bodies_noticed,
            bodies_tried=bodies,
            broken=self.broken,
            not_tried=self.not_tried,
            untested=tuple(place for place, is_noticed in self.places.items() if not is_noticed),
            untried_files=tuple(self.untried),
        )

    def _why_none(self) -> str:
        if self.survivors or self.noticed_by_old:
            return "only hunks could be undone, one at a time, and no new test notices one alone"
        if self.switched_off:
            return "no faults are wanted (proof: {faults: 0})"
        if self.untried:
            return "; ".join(f"{one.file}: {one.why}" for one in self.untried[:3])
        if self.not_tried:
            return "no time was left to try one"
        if self.broken:
            return f"{self.broken} could not be built or loaded, which proves nothing"
        return "the change has no line that a fault could be put into"


def faults_in_words(shown: FaultEvidence) -> str:
    """Say what single faults showed, as the rest of a sentence: it begins with `; `."""
    if not shown.tried and not shown.bodies_tried and not shown.noticed_by_old:
        return f"; no single fault was tried: {shown.why}"
    words = f"; {shown.noticed} of {shown.tried} single faults noticed"
    if shown.bodies_tried:
        words += f", and {shown.bodies_noticed} of {shown.bodies_tried} bodies taken away"
    words += f"; {shown.noticed_by_old} noticed by old tests alone" if shown.noticed_by_old else ""
    words += f"; {shown.not_tried} not tried (limit of number or time)" if shown.not_tried else ""
    words += f"; {shown.broken} could not be built" if shown.broken else ""
    words += f"; not tested: {', '.join(shown.untested[:5])}" if shown.untested else ""
    names = ", ".join(f"{one.file} ({one.why})" for one in shown.untried_files[:3])
    return words + (f"; only hunks were undone in {names}" if names else "")
