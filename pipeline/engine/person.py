"""A person in the middle of a run: a folder with its newest tree, whose edits become a part of the run."""

from pathlib import Path

from pipeline.files.rundir import RunDir

NAME = "person"


def folder(rundir: RunDir) -> Path:
    """Say where a person edits a run's tree."""
    return rundir.workspaces / NAME


def has_edits(rundir: RunDir) -> bool:
    """Tell whether the folder holds anything that was not taken in yet."""
    return folder(rundir).exists()
