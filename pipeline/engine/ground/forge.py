"""The forge of the repository's remote, for whoever publishes and for whoever looks."""

from pipeline.engine.ground.world import World
from pipeline.errors import Problem
from pipeline.forges.local import LocalForge, folder_for


def forge(world: World) -> LocalForge:
    """Open the forge of the repository's remote."""
    url = world.user.remote_url(world.user.remote())
    return LocalForge(folder_for(url, world.user.root, world.repo_state))


def state_now(world: World, number: int) -> str:
    """Return the state of a pull request as the forge has it now; empty if it has none."""
    try:
        return forge(world).get(number).state
    except Problem:
        return ""
