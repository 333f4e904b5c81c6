"""Child processes: a pre-started launcher, a shim for each attempt, nothing left behind."""
