"""The crash matrix: every place where a run can die, each way to die, and what must be true after."""
