"""Settings into live objects.

The one module that reads the environment, the clock and randomness.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pipeline.core import redact
from pipeline.core.settings import Settings, from_environ
from pipeline.engine.ground.world import ListenerMaker, World
from pipeline.engine.looking.views import Views
from pipeline.files import failpoints, rundir
from pipeline.files.clocks import awake_s, utc_now
from pipeline.files.doing import SILENT, Doing
from pipeline.process.logins import known_secrets, secrets_in_config
from pipeline.repo.store import repo_id
from pipeline.repo.user import UserRepo

APP = "idea-to-pr"
_RUNS_LOOKED_AT = 20
_ADDRESSES = r"^(remote|url|http)\."
STATE_KEY = "idea-to-pr.stateDir"


def environ() -> Mapping[str, str]:
    """Return the environment of this process."""
    return os.environ  # noqa: TID251 - the one place


def now() -> datetime:
    """Return the time, in UTC."""
    return utc_now()


def settings() -> Settings:
    """Read the settings, and arm the failpoint if a test asks for one. Raises `UsageProblem`."""
    current = from_environ(environ())
    if current.failpoint:
        failpoints.arm(current.failpoint)
    return current


def state_folder(current: Settings, user: UserRepo) -> Path:
    """Return the folder for stores and workspaces.

    The variable's, the repository's setting, the user's.
    """
    if chosen := current.state_dir or user.config(STATE_KEY):
        return Path(chosen).expanduser().resolve()
    from platformdirs import user_state_path

    return user_state_path(APP)


def repo_state(repos: Path, user: UserRepo) -> Path:
    """Return a repository's part of the state folder, also after its checkout was moved.

    It is named after the path of the repository. One that lies elsewhere now is recognised by a run
    in it, whose working folder names a checkout that is gone: a copy of a checkout is no move.
    """
    folder = repos / repo_id(user.common_dir)
    if folder.exists() or not repos.is_dir():
        return folder
    for run in rundir.runs_in(user.root)[:_RUNS_LOOKED_AT]:
        for old in repos.glob(f"*/runs/{run}"):
            if not old.parent.parent.is_symlink() and rundir.has_moved(old, user.root):
                # A link and no new name: set-ups hold the path that they were made at.
                folder.symlink_to(old.parent.parent.name)
                return folder
    return folder


def shipped() -> Path:
    """Return the folder that holds the shipped `agents/flow.yaml` and `agent_prompts/`."""
    package = Path(__file__).parent
    inside = package / "shipped"
    return inside if inside.is_dir() else package.parent


def world(
    start: Path,
    *listeners: ListenerMaker,
    extra: Mapping[str, str] | None = None,
    doing: Doing | None = None,
) -> World:
    """Look at the repository around `start` and get everything ready.

    `doing` is shown what takes long. Raises `UsageProblem` when there is none.
    """
    current = settings()
    env = {**environ(), **(extra or {})}
    user = UserRepo(start, env)
    addresses = user.git("config", "--get-regexp", _ADDRESSES, ok=(0, 1))
    passwords = dict.fromkeys(secrets_in_config(addresses), "password of a remote")

    def secrets() -> Mapping[str, str]:
        return {**passwords, **known_secrets(env)}

    return World(
        user=user,
        repo_state=repo_state(state_folder(current, user) / "repos", user),
        settings=current,
        environ=env,
        clock=utc_now,
        randomness=os.urandom,  # noqa: TID251 - the one place
        shipped=shipped(),
        doing=doing or SILENT,
        secrets=secrets,
        redactor=redact.Redactor(secrets()),
        listeners=(lambda rundir: Views(rundir, utc_now, awake_s), *listeners),
    )
