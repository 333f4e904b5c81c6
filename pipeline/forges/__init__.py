"""Forges: where pull requests live. Today one: files beside the repository (`local`)."""
