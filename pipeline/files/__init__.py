"""The engine's own files: atomic writes, locks, the journal, the run folder."""
