"""Forges, which hold pull requests. So far there is one: files beside the repository (`local`)."""
