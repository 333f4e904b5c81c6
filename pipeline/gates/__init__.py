"""Gates: what the engine finds out itself, on an exact tree; `gates/table` asks them by name."""
