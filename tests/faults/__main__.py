"""`python -m tests.faults [ID ...]`: put faults in, all or these, and see their tests go red."""

import sys
import time

from tests.faults.table import every_fault
from tests.faults.trial import problems


def main(wanted: list[str]) -> int:
    """Print a line for each fault; return 1 when one of them was not noticed."""
    faults = [fault for fault in every_fault() if not wanted or fault.id in wanted]
    if unknown := set(wanted) - {fault.id for fault in faults}:
        print(f"no such fault: {', '.join(sorted(unknown))}")
        return 2
    started_s, unnoticed = time.monotonic(), 0
    try:
        for fault, problem in problems(faults):
            unnoticed += bool(problem)
            print(problem or f"{fault.id}: noticed by {fault.test}", flush=True)
    except ValueError as exc:
        print(exc)
        return 1
    seconds = time.monotonic() - started_s
    print(f"{len(faults)} faults in {seconds:.0f} s, {unnoticed} not noticed as the table says")
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
