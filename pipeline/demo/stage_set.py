"""Setting the stage for the demo: a repository with a history, and a bare remote beside it.

Everything lies in one folder; git runs with an identity of its own and without the person's
configuration.
"""

import shutil
from pathlib import Path

from pipeline.repo.git import Git

HERE = Path(__file__).parent
SAMPLE = HERE / "sample"
CASSETTE = HERE / "cassette"
AUTHOR = {
    "GIT_AUTHOR_NAME": "Demo",
    "GIT_AUTHOR_EMAIL": "demo@localhost",
    "GIT_COMMITTER_NAME": "Demo",
    "GIT_COMMITTER_EMAIL": "demo@localhost",
}


def idea() -> str:
    """Return the idea that the demo turns into a pull request."""
    return (HERE / "idea.md").read_text().strip()


def set_up(folder: Path, shipped: Path) -> tuple[Path, Path]:
    """Make repository and remote below `folder`; return both.

    The flow and prompts are the shipped ones.
    """
    repository, remote = folder / "trading", folder / "trading.git"
    shutil.copytree(SAMPLE, repository, ignore=shutil.ignore_patterns("__pycache__"))
    (repository / "gitignore").rename(repository / ".gitignore")
    (repository / "agents").mkdir()
    shutil.copyfile(shipped / "agents" / "flow.yaml", repository / "agents" / "flow.yaml")
    shutil.copytree(shipped / "agent_prompts", repository / "agent_prompts")
    git = Git(repository, env=AUTHOR)
    git("init", "--quiet", "--initial-branch=main")
    git("config", "user.name", AUTHOR["GIT_AUTHOR_NAME"])
    git("config", "user.email", AUTHOR["GIT_AUTHOR_EMAIL"])
    git("config", "idea-to-pr.stateDir", str(folder / "state"))
    git("add", "--all")
    git("commit", "--quiet", "--no-verify", "-m", "A little trading library")
    git("clone", "--quiet", "--bare", str(repository), str(remote))
    git("remote", "add", "origin", str(remote))
    git("fetch", "--quiet", "origin")
    git("remote", "set-head", "origin", "main")
    return repository, remote
