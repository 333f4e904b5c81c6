"""Checking out only some folders of a tree, while the index still holds all of it.

Git looks for the pattern file in its git directory, which all workspaces share; so a workspace that
is sparse gets a git directory of its own, as `git worktree` makes them: its files, and `commondir`
for everything else.
"""

from collections.abc import Sequence
from pathlib import Path


class Sparse:
    """What one workspace checks out; without folders, everything."""

    def __init__(self, own: Path, store: Path, folders: Sequence[str]) -> None:
        """`own` is where a git directory may be made; nothing is made before `write`."""
        self.folders = tuple(sorted({folder.strip("/") for folder in folders}))
        self.git_dir = own if self.folders else store
        self._store = store
        switches = (
            ("core.sparseCheckout=true", "core.sparseCheckoutCone=true") if self.folders else ()
        )
        self.options = tuple(word for switch in switches for word in ("-c", switch))
        self.config = (
            "\tsparseCheckout = true\n\tsparseCheckoutCone = true\n" if self.folders else ""
        )

    @property
    def patterns(self) -> str:
        """Write the folders down in git's cone form.

        Files beside and above them are in, other folders are not.
        """
        above = {
            str(parent) for folder in self.folders for parent in Path(folder).parents if parent.name
        }
        lines = ["/*", "!/*/"]
        for folder in sorted(above | set(self.folders)):
            if any(folder.startswith(f"{whole}/") for whole in self.folders):
                continue
            lines += (
                [f"/{folder}/"] if folder in self.folders else [f"/{folder}/", f"!/{folder}/*/"]
            )
        return "\n".join(lines) + "\n"

    def write(self) -> None:
        """Make the git directory what it should be.

        Does nothing for a workspace that is not sparse.
        """
        if self.git_dir == self._store:
            return
        (self.git_dir / "info").mkdir(parents=True, exist_ok=True)
        (self.git_dir / "HEAD").write_text("ref: refs/heads/none\n")
        (self.git_dir / "commondir").write_text(f"{self._store}\n")
        (self.git_dir / "info" / "sparse-checkout").write_text(self.patterns)
