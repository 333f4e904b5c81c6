"""Whether the folders of a checkout that runs write into are folders, and lie inside it."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.engine.ground.world import World
from pipeline.engine.starting.preflight import Check, CheckStatus
from pipeline.files.rundir import LATEST, RECORD_FOLDERS, RUNS


def check(world: World) -> Check:
    """Look for links out of the repository, files in place of folders, and what git tracks."""
    problems = list(_problems(world))
    if not problems:
        return Check(name="run folders", status=CheckStatus.OK, text=f"{RUNS} and .locks")
    return Check(
        name="run folders",
        status=CheckStatus.FAIL,
        text="; ".join(what for what, _ in problems),
        hint="\n".join(dict.fromkeys(mend for _, mend in problems)),
    )


def _problems(world: World) -> Iterator[tuple[str, str]]:
    """Yield what is wrong, each with what mends it."""
    root = world.user.root
    seen: set[Path] = set()
    for name in (*RECORD_FOLDERS, RUNS):
        path = root
        for part in name.split("/"):
            path /= part
            if path in seen:
                continue
            seen.add(path)
            shown = path.relative_to(root)
            if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
                to = path.readlink()
                yield f"{shown} is a link out of the repository, to {to}", f"Remove it: rm {shown}"
                break
            if path.is_symlink() and not path.exists():
                yield f"{shown} is a link to nothing", f"Remove it: rm {shown}"
                break
            if path.exists() and not path.is_dir():
                yield (
                    f"{shown} is a file, and has to be a folder",
                    f"Move it away: mv {shown} {shown}.old",
                )
                break
    latest = root / LATEST
    if latest.is_dir() and not latest.is_symlink():
        yield (
            f"{LATEST} is a folder, and has to be a link of ours",
            f"Move it away: mv {LATEST} {LATEST}.old",
        )
    elif world.user.git("ls-files", "--", LATEST):
        yield (
            f"{LATEST} is tracked by git, and every run replaces it",
            f"Let git forget it: git rm --cached {LATEST}, and commit that",
        )
