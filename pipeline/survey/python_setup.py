"""What brings the dependencies of a Python project.

Its lock file's tool, an environment that is there, or pip.
"""

import ast
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.survey.look import Addition, Look, cd, table, within
from pipeline.survey.python_pytest import plugins
from pipeline.survey.python_tools import PythonChecks

VENV = ".venv"
_TEST_EXTRAS = ("test", "tests", "testing", "dev", "develop")
_REQUIREMENTS = re.compile(
    r"(?:requirements/)?(?:(?:requirements|reqs?)[-_])?(?:requirements|base|tests?|dev|develop\w*|testing)\.txt"
)
_REQUIREMENT = re.compile(r"[A-Za-z][\w.-]*(?:\[[\w,-]+\])?(?:[<>=!~]=?[\w.*,<>=!~]+)?")
_OF_TOOLS_MAX = 20


def interpreter(look: Look) -> str:
    """Name the program that is Python here."""
    return "python" if look.finds("python") else "python3"


def is_installable(look: Look, folder: str) -> bool:
    """Tell whether `pip install -e .` has something to install.

    Not, when pyproject.toml only configures tools.
    """
    project = look.toml(within(folder, "pyproject.toml"))
    declared = (
        "project" in project or "build-system" in project or "poetry" in table(project, "tool")
    )
    broken = within(folder, "pyproject.toml") in look.broken
    cfg = "[metadata]" in look.text(within(folder, "setup.cfg"))
    return declared or broken or cfg or bool(look.has(folder, "setup.py"))


def brought_by(
    look: Look, folder: str, used: PythonChecks, *, needs_pytest: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return commands, and folders of the checkout that are lent."""
    for at in dict.fromkeys((folder, "")):
        if command := _locked(look, folder, at):
            return (f"{cd(at)}{command}",), ()
    if _is_active(look, folder):
        return (), ()
    if look.holds(folder, f"{VENV}/bin/python") and (
        look.holds(folder, f"{VENV}/bin/pytest") or not needs_pytest
    ):
        return (), (within(folder, VENV),)
    return (f"{cd(folder)}{_pip(look, folder, used, needs_pytest=needs_pytest)}",), ()


def _locked(look: Look, folder: str, at: str) -> str:
    """Return the command of the tool whose lock file lies in a folder.

    Empty when there is none, or no such tool.
    """
    project = look.toml(within(folder, "pyproject.toml"))
    if look.has(at, "uv.lock") and look.finds("uv"):
        extras = _of_tests(table(project, "project", "optional-dependencies"))
        groups = [name for name in _of_tests(table(project, "dependency-groups")) if name != "dev"]
        words = [f"--extra {name}" for name in extras] + [f"--group {name}" for name in groups]
        return " ".join(
            ["uv sync --quiet --frozen", *(words if at == folder else ["--all-packages"])]
        )
    if look.has(folder, "poetry.lock") and at == folder and look.finds("poetry"):
        return "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --quiet --no-interaction"
    if look.has(folder, "pdm.lock") and at == folder and look.finds("pdm"):
        return "pdm install --quiet --frozen-lockfile"
    return ""


def _is_active(look: Look, folder: str) -> bool:
    """Tell whether the active virtual environment has the project installed from here, so that it is the one to use."""
    active = Path(look.environ.get("VIRTUAL_ENV", ""))
    there = (
        active.glob("lib/python*/site-packages/*.dist-info/direct_url.json")
        if active.is_absolute()
        else ()
    )
    here = (look.root / folder).resolve().as_uri()
    return any(f'"{here}"' in path.read_text(errors="replace") for path in there)


def _pip(look: Look, folder: str, used: PythonChecks, *, needs_pytest: bool) -> str:
    """Make a virtual environment with the project, its test dependencies, pytest, and the checkers it uses."""
    project = look.toml(within(folder, "pyproject.toml"))
    extras = _of_tests(table(project, "project", "optional-dependencies"))
    groups = _of_tests(table(project, "dependency-groups"))
    wanted = (
        [f"-e '.[{','.join(extras)}]'" if extras else "-e ."]
        if is_installable(look, folder)
        else []
    )
    wanted += [f"-r {shlex.quote(path)}" for path in requirement_files(look, folder)]
    wanted += [f"--group {name}" for name in groups]
    others = _of_other_tools(look, folder, project)
    brought = "\n".join([_declared(look, folder, project), *others])
    first = ["pytest", *plugins(look, folder)] if needs_pytest else []
    first += [pin for name, pin in used.pins.items()]
    first = [pin for pin in first if not _names(brought, re.split("[<>=]", pin)[0])]
    python = f"{VENV}/bin/python"
    upgrade = f"{python} -m pip install -q -U 'pip>=25.1' && " if groups else ""
    words = " ".join([*map(shlex.quote, [*first, *others]), *wanted])
    install = f" && {upgrade}{python} -m pip install -q {words}" if words else ""
    return f"{interpreter(look)} -m venv {VENV}{install}"


def _names(lines: str, package: str) -> bool:
    """Tell whether one of the requirements, a line each, is for this package."""
    return bool(re.search(rf"^\W*{re.escape(package)}(?![\w.-])", lines, re.MULTILINE))


def _of_tests(names: Iterable[str]) -> list[str]:
    """Choose the extras or groups that bring what tests need.

    Those for development only where there are no others.
    """
    known = [name for name in names if name in _TEST_EXTRAS]
    return [name for name in known if not name.startswith("dev")] or known


def requirement_files(look: Look, folder: str) -> list[str]:
    """List the files of requirements that the project and its tests need, four at the most.

    Those for development are left out where there are some for tests: they pin much besides, even
    the project itself.
    """
    found = [path for path in look.below(folder) if _REQUIREMENTS.fullmatch(path)]
    if any("test" in path for path in found):
        found = [path for path in found if not re.search(r"(?:^|[/_-])dev", path)]
    return found[:4]


def _declared(look: Look, folder: str, project: dict[str, Any]) -> str:
    """Return what a project's own declarations ask for, a requirement a line."""
    extras, groups = (
        table(project, "project", "optional-dependencies"),
        table(project, "dependency-groups"),
    )
    found = [lists[name] for lists in (extras, groups) for name in _of_tests(lists)]
    lines = [str(one) for each in found if isinstance(each, list) for one in each]
    return "\n".join(
        [*lines, *(look.text(within(folder, path)) for path in requirement_files(look, folder))]
    )


def _of_other_tools(look: Look, folder: str, project: dict[str, Any]) -> list[str]:
    """List what tests need by the word of poetry (by name only), hatch, tox or nox, as pip takes it."""
    groups = table(project, "tool", "poetry", "group")
    found = [name for group in _TEST_EXTRAS for name in table(groups, group, "dependencies")]
    found += list(table(project, "tool", "poetry", "dev-dependencies"))
    for name in ("default", "test", "hatch-test"):
        env = table(project, "tool", "hatch", "envs", name)
        for key in ("dependencies", "extra-dependencies"):
            lines = env.get(key)
            found += [str(one) for one in lines] if isinstance(lines, list) else []
    deps = table(look.ini(within(folder, "tox.ini")), "testenv").get("deps", "")
    found += [line.strip() for line in deps.splitlines()]
    found += _of_nox(look.text(within(folder, "noxfile.py")))
    plain = [one.replace(" ", "") for one in found if _REQUIREMENT.fullmatch(one.replace(" ", ""))]
    return [one for one in dict.fromkeys(plain) if one != "python"][:_OF_TOOLS_MAX]


def _of_nox(text: str) -> list[str]:
    """List what the sessions that run pytest install by name; the file is read, not run."""
    try:
        functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    except (SyntaxError, ValueError, RecursionError):
        return []
    found: list[str] = []
    for function in functions:
        said: dict[str, list[str]] = {"install": [], "run": []}
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in said
            ):
                words = [word.value for word in node.args if isinstance(word, ast.Constant)]
                said[node.func.attr] += [word for word in words if isinstance(word, str)]
        found += said["install"] if "pytest" in said["run"] else []
    return found


def additions(look: Look) -> list[Addition]:
    """Name the packages of a project in the root that setuptools would look for by itself, and find `agents/`, too.

    With two folders beside each other setuptools refuses to build (its "flat-layout" discovery); with single modules it
    would take `agents/` for the only package.
    """
    project = look.toml("pyproject.toml")
    backend = str(table(project, "build-system").get("build-backend") or "setuptools")
    known = table(project, "tool", "setuptools")
    other = look.text("setup.py") + look.text("setup.cfg")
    files = [path for path in look.files if path.endswith(".py")]
    if (
        "project" not in project
        or not backend.startswith("setuptools")
        or {"packages", "py-modules"} & set(known)
        or re.search(r"\b(?:packages|py_modules)\b", other)
        or any(path.startswith("src/") for path in files)
    ):
        return []
    packages = sorted(
        {
            path.partition("/")[0]
            for path in files
            if path.endswith("/__init__.py") and path.count("/") == 1
        }
    )
    packages = [name for name in packages if name not in _LEFT_OUT]
    modules = [
        path[:-3]
        for path in files
        if "/" not in path and path[:-3] not in _LEFT_OUT and path != "setup.py"
    ]
    modules = [name for name in modules if not name.startswith("test_") and name != "conftest"]
    if len(packages) == 1:
        lines = f'[tool.setuptools.packages.find]\ninclude = ["{packages[0]}*"]\n'
    elif not packages and len(modules) == 1 and not known:
        lines = f'[tool.setuptools]\npy-modules = ["{modules[0]}"]\n'
    else:
        return []
    why = "setuptools looks for packages by itself here, and would take agents/ for one"
    return [Addition(path="pyproject.toml", text=f"\n{lines}", why=why)]


_LEFT_OUT = frozenset({
    "test", "tests", "doc", "docs", "example", "examples", "scripts", "tools", "util", "utils", "build", "benchmark",
    "benchmarks", "tasks", "fabfile", "ci", "bin", "python", "exercise", "exercises", "unit_test", "unit_tests",
})  # fmt: skip
"""Folders that setuptools leaves out by itself (`FlatLayoutPackageFinder`, setuptools 80)."""
