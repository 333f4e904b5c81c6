"""Files of ours: atomic writes, locks, the journal, the run folder."""
