"""Gates: what the engine verifies itself, on an exact tree; `gates/table` runs them by name."""
