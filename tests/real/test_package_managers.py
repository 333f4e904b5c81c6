"""Package managers for real: what `init` writes for each of them brings the dependencies, and
`doctor` sees tests pass.

The lock files are the managers' own; a package of PyPI or npm is imported by the test, so nothing
passes without it.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.agent_clis import MissingCli, cache_folder, npm_packages, pypi_program
from tests.helpers.project import BIN

pytestmark = pytest.mark.slow

NPM = {"pnpm": "10.34.9", "bun": "1.4.5"}
YARN_1 = {"yarn": "1.22.22"}
YARN_4 = {"@yarnpkg/cli-dist": "4.18.1"}

PYTHON = {
    "src/thing/__init__.py": "import iniconfig\n\n\ndef name():\n    return iniconfig.__name__\n",
    "tests/test_thing.py": 'import thing\n\n\ndef test_name():\n    assert thing.name() == "iniconfig"\n',
    ".gitignore": ".venv\n.pdm-python\n__pycache__\n",
}
PROJECT = """\
[project]
name = "thing"
version = "1"
requires-python = ">=3.11"
dependencies = ["iniconfig"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""
GROUP = '\n[dependency-groups]\ndev = ["pytest>=8"]\n'
POETRY = """\
[tool.poetry]
name = "thing"
version = "1"
description = ""
authors = []
packages = [{include = "thing", from = "src"}]

[tool.poetry.dependencies]
python = "^3.11"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"

[tool.poetry.group.dev.dependencies]
"""
USES_PLUGIN = (
    "def test_the_plugin_is_there(pytestconfig):\n    assert "
    "pytestconfig.pluginmanager.hasplugin('randomly')\n"
)
HATCH = '\n[tool.hatch.envs.hatch-test]\nextra-dependencies = ["pytest-randomly"]\n'
TOX = (
    "[tox]\nenvlist = py\n\n[testenv]\ndeps =\n    pytest\n    pytest-randomly\ncommands = pytest\n"
)
NOX = """\
import nox


@nox.session
def tests(session):
    session.install("pytest", "pytest-randomly", "-e", ".")
    session.run("pytest")
"""
NODE = {
    "package.json": json.dumps({
        "name": "thing", "version": "1.0.0", "type": "module", "scripts": {"test": "node --test"},
        "devDependencies": {"is-number": "7.0.0"},
    }),
    "src/one.js": "export const one = () => 1;\n",
    "test/one.test.js": """\
import assert from "node:assert";
import { test } from "node:test";
import isNumber from "is-number";
import { one } from "../src/one.js";

test("one", () => { assert.ok(isNumber(one())); });
""",
    ".gitignore": "node_modules\n.yarn\n.pnp.*\n",
}  # fmt: skip
BERRY = "enableTelemetry: false\n"


@dataclass(frozen=True)
class Case:
    """A repository of one manager: `lock` makes its lock file, `setup` is what the flow must say,
    as a pattern.
    """

    name: str
    files: dict[str, str]
    lock: str
    setup: str
    program: Callable[[Path], dict[str, Path]]
    command: str = "node --test"


def pypi(name: str, version: str) -> Callable[[Path], dict[str, Path]]:
    return lambda cache: {name.partition("[")[0]: pypi_program(cache, os.environ, name, version)}


def npm(name: str, packages: dict[str, str], inside: str) -> Callable[[Path], dict[str, Path]]:
    def find(cache: Path) -> dict[str, Path]:
        modules, node = npm_packages(cache, os.environ, packages)
        return {name: modules / inside, "node": node / "node"}

    return find


def nothing(_: Path) -> dict[str, Path]:
    return {}


PYTEST = "python -m pytest -q"
PIP = r"python3? -m venv \.venv && \.venv/bin/python -m pip install "
UV, POETRY_PROGRAM = pypi("uv", "0.13.9"), pypi("poetry", "2.5.1")
NPM_CI = npm("npm", {"npm": "11.19.1"}, ".bin/npm")
PNPM, BUN = npm("pnpm", NPM, ".bin/pnpm"), npm("bun", NPM, ".bin/bun")
YARN, BERRY_PROGRAM = npm("yarn", YARN_1, ".bin/yarn"), npm("yarn", YARN_4, ".bin/yarn")
PNP = NODE | {".yarnrc.yml": BERRY}
LINKED = NODE | {".yarnrc.yml": BERRY + "nodeLinker: node-modules\n"}
FORGET = "rm -rf node_modules .pnp.*"

CASES = (
    Case("uv", PYTHON | {"pyproject.toml": PROJECT + GROUP}, "uv lock", "uv sync --quiet --frozen", UV, PYTEST),
    Case(
        "poetry", PYTHON | {"pyproject.toml": POETRY}, "poetry lock --no-interaction",
        "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --quiet --no-interaction", POETRY_PROGRAM, PYTEST,
    ),
    Case(
        "pdm", PYTHON | {"pyproject.toml": PROJECT + GROUP}, "pdm lock", "pdm install --quiet --frozen-lockfile",
        pypi("pdm[locked]", "2.29.3"), PYTEST,
    ),
    Case(
        "hatch", PYTHON | {"pyproject.toml": PROJECT + HATCH, "tests/test_plugin.py": USES_PLUGIN}, "",
        PIP + "-q pytest pytest-randomly -e .", nothing, PYTEST,
    ),
    Case(
        "tox", PYTHON | {"pyproject.toml": PROJECT, "tox.ini": TOX, "tests/test_plugin.py": USES_PLUGIN}, "",
        PIP + "-q pytest pytest-randomly -e .", nothing, PYTEST,
    ),
    Case(
        "nox", PYTHON | {"pyproject.toml": PROJECT, "noxfile.py": NOX, "tests/test_plugin.py": USES_PLUGIN}, "",
        PIP + "-q pytest pytest-randomly -e .", nothing, PYTEST,
    ),
    Case("npm", NODE, "npm install --package-lock-only", "npm ci --no-audit --no-fund", NPM_CI),
    Case("pnpm", NODE, "pnpm install --lockfile-only", "pnpm install --frozen-lockfile", PNPM),
    Case("bun", NODE, "bun install --lockfile-only", "bun install --frozen-lockfile", BUN),
    Case("yarn 1", NODE, f"yarn install; {FORGET}", "yarn install --frozen-lockfile", YARN),
    Case("yarn 4", LINKED, f"yarn install; {FORGET}", "yarn install --immutable", BERRY_PROGRAM),
    Case(
        "yarn 4 with PnP", PNP, f"yarn install; {FORGET}", "yarn install --immutable", BERRY_PROGRAM, "yarn node --test"
    ),
)  # fmt: skip


class Copy:
    """The case's repository, with a PATH that holds its manager, our commands and the system's."""

    def __init__(self, folder: Path, case: Case) -> None:
        self.root = folder / "repo"
        programs = folder / "bin"
        programs.mkdir()
        found = case.program(cache_folder(os.environ))
        for name, program in (
            found | {name: BIN / name for name in ("pipeline", "trigger_workflow")}
        ).items():
            (programs / name).write_text(f'#!/bin/sh\nexec {program} "$@"\n')
            (programs / name).chmod(0o755)
        (programs / "claude").write_text("#!/bin/sh\n")
        (programs / "claude").chmod(0o755)
        kept = re.compile(
            r"(PIP|UV|NPM_CONFIG|npm_config)_.*|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS"
        )
        path = [programs, Path(sys.base_prefix) / "bin", "/usr/local/bin", "/usr/bin", "/bin"]
        self.env = {name: value for name, value in os.environ.items() if kept.fullmatch(name)} | {
            "PATH": os.pathsep.join(map(str, path)),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PIPELINE_STATE_DIR": str(folder / "state"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "ANTHROPIC_API_KEY": "none",
        }
        for name, text in case.files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def says(self, command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            check=False,
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, (
            f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
        return done.stdout

    def commit(self) -> None:
        self.says(
            "git add -A && git -c user.name=P -c user.email=p@q commit --quiet --message Files"
        )


@pytest.fixture(params=CASES, ids=lambda case: case.name.replace(" ", "-"))
def copy(request, tmp_path):
    try:
        return Copy(tmp_path, request.param), request.param
    except MissingCli as missing:
        pytest.skip(str(missing))


def test_what_init_writes_brings_the_dependencies_and_the_tests_pass(copy):
    repo, case = copy
    if (
        case.name == "poetry"
    ):  # it asks an index for more than every index has; from files it takes what is there
        repo.says("python3 -m pip download --quiet --dest wheels iniconfig colorama 'pytest>=8'")
        wheels = sorted((repo.root / "wheels").iterdir())
        lines = [
            f'{path.name.partition("-")[0]} = {{path = "wheels/{path.name}"}}' for path in wheels
        ]
        (repo.root / "pyproject.toml").write_text(POETRY + "\n".join(lines) + "\n")
    repo.says("git init --quiet --initial-branch=main")
    repo.says(case.lock or "true")
    repo.commit()

    repo.says("pipeline init")
    repo.commit()
    found = json.loads(repo.says("pipeline doctor --json").partition("\n{")[0])

    checks = {check["name"]: check for check in found["checks"]}
    assert re.fullmatch(case.setup, checks["set-up"]["text"])
    tests = checks["tests of thing"]
    assert (tests["status"], tests["text"].partition(" in ")[0]) == (
        "ok",
        f"{2 if 'tests/test_plugin.py' in case.files else 1} test(s) pass",
    )
    assert f"test: {case.command}\n" in (repo.root / "agents/flow.yaml").read_text()
    assert repo.says("git status --porcelain") == ""
