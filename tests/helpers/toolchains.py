"""The programs that tests of runners need, as variables for the bench; without them tests skip."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.helpers.agent_clis import MissingCli, cache_folder, npm_packages

VITEST, JEST = "4.1.12", "30.5.2"


def need(program: str) -> Mapping[str, str]:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    home = Path.home()
    return (
        {"CARGO_HOME": str(home / ".cargo"), "RUSTUP_HOME": str(home / ".rustup")}
        if program == "cargo"
        else {}
    )


def need_npm(**packages: str) -> Mapping[str, str]:
    wanted = {
        name.replace("__", "/").replace("_", "-"): version for name, version in packages.items()
    }
    wanted = {f"@{name}" if "/" in name else name: version for name, version in wanted.items()}
    try:
        modules, node = npm_packages(cache_folder(os.environ), os.environ, wanted)
    except MissingCli as missing:
        pytest.skip(str(missing))
    return {
        "PATH": os.pathsep.join([str(modules / ".bin"), str(node), os.environ["PATH"]]),
        "MODULES": str(modules),
    }


def environment_of(base: str) -> Mapping[str, str]:
    """Return what the runner of a base needs; `MODULES` is a folder of node modules."""
    match base.partition("-")[0]:
        case "go" | "cargo" as program:
            return need(program)
        case "vitest":
            return need_npm(vitest=VITEST)
        case "jest":
            return need_npm(jest=JEST)
        case "node":
            return need_npm(left_pad="1.3.0")
        case _:
            return {}
