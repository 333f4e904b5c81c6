"""Child processes: a launcher started once, a shim for each attempt, nothing left running."""
