"""Settings into live objects.

The one module that reads the environment, the clock and randomness.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pipeline.core.settings import Settings, from_environ
from pipeline.engine.ground.world import ListenerMaker, World
from pipeline.engine.looking.views import Views
from pipeline.files import failpoints
from pipeline.files.clocks import awake_s, utc_now
from pipeline.files.doing import SILENT, Doing
from pipeline.repo.store import repo_id
from pipeline.repo.user import UserRepo

APP = "idea-to-pr"
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
    return World(
        user=user,
        repo_state=state_folder(current, user) / "repos" / repo_id(user.common_dir),
        settings=current,
        environ=env,
        clock=utc_now,
        randomness=os.urandom,  # noqa: TID251 - the one place
        shipped=shipped(),
        doing=doing or SILENT,
        listeners=(lambda rundir: Views(rundir, utc_now, awake_s), *listeners),
    )
