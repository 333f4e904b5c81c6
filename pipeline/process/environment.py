"""The environments of children, from allow-lists: a child sees what is named here, and nothing else."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

TOOLS = ("PATH", "VIRTUAL_ENV", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
"""What of the starting person's environment says which tools are meant; recorded with the run."""

_BASE = (*TOOLS, "LANG", "LC_ALL", "TZ")
_TOOLCHAINS = {
    "RUSTUP_HOME": ".rustup",
    "CARGO_HOME": ".cargo",
    "GOPATH": "go",
    "PYENV_ROOT": ".pyenv",
    "NVM_DIR": ".nvm",
}
"""Where tools keep their toolchains, below a HOME that tests do not get."""


def child_env(environ: Mapping[str, str], pass_env: Sequence[str] = ()) -> dict[str, str]:
    """Return the environment of a child; a name in `pass_env` may end in `*`."""
    names = {name for name in pass_env if not name.endswith("*")}
    prefixes = tuple(name[:-1] for name in pass_env if name.endswith("*"))
    passed = {
        name: value
        for name, value in environ.items()
        if name in _BASE or name in names or (prefixes and name.startswith(prefixes))
    }
    return {
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "CI": "1",
        **passed,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_OPTIONAL_LOCKS": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def toolchains(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that lead tools to their toolchains where HOME is a private one."""
    home = Path(environ.get("HOME", "/"))
    usual = {
        name: str(home / folder) for name, folder in _TOOLCHAINS.items() if (home / folder).is_dir()
    }
    return {**usual, **{name: environ[name] for name in _TOOLCHAINS if name in environ}}


def with_programs(env: Mapping[str, str], folders: Sequence[Path]) -> dict[str, str]:
    """Put the programs that set-up has brought into these folders in front of PATH, the last first."""
    found = dict(env)
    for folder in folders:
        paths = [
            str(path)
            for path in (folder / ".venv" / "bin", folder / "node_modules" / ".bin")
            if path.is_dir()
        ]
        if (folder / ".venv" / "pyvenv.cfg").is_file():
            found["VIRTUAL_ENV"] = str(folder / ".venv")
        if paths:
            found["PATH"] = os.pathsep.join([*paths, found.get("PATH", os.defpath)])
    return found
