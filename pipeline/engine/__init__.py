"""A run from its start to its pull request."""
