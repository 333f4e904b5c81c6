"""Check out only some folders of a tree, while the index still has all of it.

Git reads the sparse patterns from its git directory, and the store is that of all workspaces. A
sparse workspace therefore gets a git directory of its own, as `git worktree` makes them: the
patterns and HEAD, and a `commondir` file that points to the store for everything else.
"""

from collections.abc import Sequence
from pathlib import Path


class Sparse:
    """What one workspace checks out: some folders, or everything if none are given."""

    def __init__(self, own_git_dir: Path, store: Path, folders: Sequence[str]) -> None:
        """`own_git_dir` is where a git directory may be made; nothing is made before `write`."""
        self.folders = tuple(sorted({folder.strip("/") for folder in folders}))
        self.git_dir = own_git_dir if self.folders else store
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
        """The folders as patterns of git's cone mode.

        Files in the folders above them are included, other folders there are not.
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
        """Write the git directory; does nothing for a workspace that is not sparse."""
        if self.git_dir == self._store:
            return
        (self.git_dir / "info").mkdir(parents=True, exist_ok=True)
        # Git takes no folder without HEAD for a git directory; the branch need not exist.
        (self.git_dir / "HEAD").write_text("ref: refs/heads/none\n")
        (self.git_dir / "commondir").write_text(f"{self._store}\n")
        (self.git_dir / "info" / "sparse-checkout").write_text(self.patterns)
