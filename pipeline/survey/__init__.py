"""Look at a repository: its targets, how each is tested and checked, and its conventions."""
