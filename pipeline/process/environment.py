"""The environment of a child, by allow-list: it sees the variables named here, and no others."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

TOOL_VARIABLES = ("PATH", "VIRTUAL_ENV", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
"""Variables that decide which tools are found; recorded when a person starts a run."""

_BASE = (*TOOL_VARIABLES, "LANG", "LC_ALL", "TZ")
_TOOLCHAINS = {
    "RUSTUP_HOME": ".rustup",
    "CARGO_HOME": ".cargo",
    "GOPATH": "go",
    "PYENV_ROOT": ".pyenv",
    "NVM_DIR": ".nvm",
}
"""Where tools keep their toolchains, below the person's HOME, which tests do not see."""


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
        # After `passed`, so that nobody can pass their own git configuration on to an agent: it may
        # have credentials, aliases and hooks.
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_OPTIONAL_LOCKS": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def toolchain_env(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which tools find their toolchains when HOME is private."""
    home = Path(environ.get("HOME", "/"))
    usual = {
        name: str(home / folder) for name, folder in _TOOLCHAINS.items() if (home / folder).is_dir()
    }
    return {**usual, **{name: environ[name] for name in _TOOLCHAINS if name in environ}}


def with_programs(env: Mapping[str, str], folders: Sequence[Path]) -> dict[str, str]:
    """Put the programs that set-up installed in these folders in front of PATH, the last first."""
    extended = dict(env)
    for folder in folders:
        paths = [
            str(path)
            for path in (folder / ".venv" / "bin", folder / "node_modules" / ".bin")
            if path.is_dir()
        ]
        if (folder / ".venv" / "pyvenv.cfg").is_file():
            extended["VIRTUAL_ENV"] = str(folder / ".venv")
        if paths:
            extended["PATH"] = os.pathsep.join([*paths, extended.get("PATH", os.defpath)])
    return extended
