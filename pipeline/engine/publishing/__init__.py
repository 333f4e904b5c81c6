"""From a verified tree to a pull request: commits, branch, push, body; each exactly once."""
