"""How to install a Python project's dependencies.

By the tool of its lock file, an existing environment, or pip.
"""

import ast
import re
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from pipeline.survey.checkout_files import Addition, CheckoutFiles, cd, table, within
from pipeline.survey.python_locks import is_named, with_locked
from pipeline.survey.python_pytest import plugins
from pipeline.survey.python_tools import PythonChecks

VENV = ".venv"
_TEST_EXTRAS = ("test", "tests", "testing", "dev", "develop")
_REQUIREMENTS = re.compile(
    r"(?:requirements/)?(?:(?:requirements|reqs?)[-_])?"
    r"(?:requirements|base|tests?|dev|develop\w*|testing)\.txt"
    r"|(?:tests?|dev|develop\w*|testing)[-_](?:requirements|reqs?)\.txt"
)
_REQUIREMENT = re.compile(r"[A-Za-z][\w.-]*(?:\[[\w,-]+\])?(?:[<>=!~]=?[\w.*,<>=!~]+)?")
_OF_TOOLS_MAX = 20


def interpreter(repo: CheckoutFiles) -> str:
    """Return the name of the Python program on the PATH."""
    return "python" if repo.has_program("python") else "python3"


def is_installable(repo: CheckoutFiles, folder: str) -> bool:
    """Return whether `pip install -e .` has something to install.

    It has not if pyproject.toml only configures tools.
    """
    project = repo.toml(within(folder, "pyproject.toml"))
    declared = (
        "project" in project or "build-system" in project or "poetry" in table(project, "tool")
    )
    broken = within(folder, "pyproject.toml") in repo.broken
    cfg = "[metadata]" in repo.text(within(folder, "setup.cfg"))
    return declared or broken or cfg or bool(repo.has(folder, "setup.py"))


def find_setup(
    repo: CheckoutFiles, folder: str, used: PythonChecks, *, needs_pytest: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the set-up commands, and the folders of the checkout that workspaces get a copy of."""
    for at in dict.fromkeys((folder, "")):
        if command := _locked(repo, folder, at, used):
            return (f"{cd(at)}{command}",), ()
    if _is_active(repo, folder):
        return (), ()
    if repo.holds(folder, f"{VENV}/bin/python") and (
        repo.holds(folder, f"{VENV}/bin/pytest") or not needs_pytest
    ):
        return (), (within(folder, VENV),)
    return (f"{cd(folder)}{_pip(repo, folder, used, needs_pytest=needs_pytest)}",), ()


def _locked(repo: CheckoutFiles, folder: str, at: str, used: PythonChecks) -> str:
    """Return the install command of the tool whose lock file is in the folder `at`.

    Empty without a lock file, or when the tool is not installed.
    """
    project = repo.toml(within(folder, "pyproject.toml"))
    if repo.has(at, "uv.lock") and repo.has_program("uv"):
        checkers = {one.split()[0] for one in used.checks}
        all_extras = table(project, "project", "optional-dependencies")
        all_groups = table(project, "dependency-groups")
        extras = _with_checkers(_of_tests(all_extras), all_extras, checkers)
        groups = _with_checkers(_of_tests(all_groups), all_groups, checkers)
        groups = [name for name in groups if name != "dev"]
        words = [f"--extra {name}" for name in extras] + [f"--group {name}" for name in groups]
        return " ".join(
            ["uv sync --quiet --frozen", *(words if at == folder else ["--all-packages"])]
        )
    if repo.has(folder, "poetry.lock") and at == folder and repo.has_program("poetry"):
        return "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --quiet --no-interaction"
    if repo.has(folder, "pdm.lock") and at == folder and repo.has_program("pdm"):
        return "pdm install --quiet --frozen-lockfile"
    return ""


def _is_active(repo: CheckoutFiles, folder: str) -> bool:
    """Return whether the active virtual environment has this checkout of the project installed.

    If so, the tests can use it as it is.
    """
    active = Path(repo.environ.get("VIRTUAL_ENV", ""))
    there = (
        active.glob("lib/python*/site-packages/*.dist-info/direct_url.json")
        if active.is_absolute()
        else ()
    )
    here = (repo.root / folder).resolve().as_uri()
    return any(f'"{here}"' in path.read_text(errors="replace") for path in there)


def _pip(repo: CheckoutFiles, folder: str, used: PythonChecks, *, needs_pytest: bool) -> str:
    """Return the command that makes a virtual environment for the project.

    It has the project, its test dependencies, pytest, and the checkers it uses.
    """
    project = repo.toml(within(folder, "pyproject.toml"))
    checkers = {one.split()[0] for one in used.checks}
    all_extras = table(project, "project", "optional-dependencies")
    all_groups = table(project, "dependency-groups")
    extras = _with_checkers(_of_tests(all_extras), all_extras, checkers)
    groups = _with_checkers(_of_tests(all_groups), all_groups, checkers)
    wanted = (
        [f"-e '.[{','.join(extras)}]'" if extras else "-e ."]
        if is_installable(repo, folder)
        else []
    )
    wanted += [f"-r {shlex.quote(path)}" for path in requirement_files(repo, folder)]
    wanted += [f"--group {name}" for name in groups]
    others = _of_other_tools(repo, folder, project)
    brought = "\n".join([_declared(repo, folder, project), *others])
    first = ["pytest", *plugins(repo, folder)] if needs_pytest else []
    first += [pin for name, pin in used.pins.items()]
    first = with_locked(repo, folder, first, brought)
    python = f"{VENV}/bin/python"
    upgrade = f"{python} -m pip install -q -U 'pip>=25.1' && " if groups else ""
    words = " ".join([*map(shlex.quote, [*first, *others]), *wanted])
    install = f" && {upgrade}{python} -m pip install -q {words}" if words else ""
    return f"{interpreter(repo)} -m venv {VENV}{install}"


def _of_tests(names: Iterable[str]) -> list[str]:
    """Return the extras or groups that tests need; those for development if there are no others."""
    known = [name for name in names if name in _TEST_EXTRAS]
    return [name for name in known if not name.startswith("dev")] or known


def _with_checkers(names: list[str], lists: dict[str, Any], checkers: Collection[str]) -> list[str]:
    """Return the extras or groups with those added that bring a checker the others lack."""
    chosen = list(names)
    for name, lines in lists.items():
        here = "\n".join(str(one) for one in lines) if isinstance(lines, list) else ""
        known = "\n".join(str(one) for each in chosen for one in lists.get(each) or ())
        if any(is_named(here, one) and not is_named(known, one) for one in checkers):
            chosen.append(name)
    return chosen


def requirement_files(repo: CheckoutFiles, folder: str) -> list[str]:
    """Return at most four requirement files that the project and its tests need.

    Files for development are left out if there are files for tests: they pin much more, even the
    project itself.
    """
    paths = [path for path in repo.below(folder) if _REQUIREMENTS.fullmatch(path)]
    if any("test" in path for path in paths):
        paths = [path for path in paths if not re.search(r"(?:^|[/_-])dev", path)]
    return paths[:4]


def _declared(repo: CheckoutFiles, folder: str, project: dict[str, Any]) -> str:
    """Return the requirements that a project declares itself, one per line."""
    extras, groups = (
        table(project, "project", "optional-dependencies"),
        table(project, "dependency-groups"),
    )
    chosen = [lists[name] for lists in (extras, groups) for name in _of_tests(lists)]
    lines = [str(one) for each in chosen if isinstance(each, list) for one in each]
    return "\n".join(
        [*lines, *(repo.text(within(folder, path)) for path in requirement_files(repo, folder))]
    )


def _of_other_tools(repo: CheckoutFiles, folder: str, project: dict[str, Any]) -> list[str]:
    """Return what tests need according to poetry, hatch, tox or nox, as requirements for pip.

    From poetry it takes the names only: pip does not understand its version ranges.
    """
    groups = table(project, "tool", "poetry", "group")
    lines = [name for group in _TEST_EXTRAS for name in table(groups, group, "dependencies")]
    lines += list(table(project, "tool", "poetry", "dev-dependencies"))
    for name in ("default", "test", "hatch-test"):
        env = table(project, "tool", "hatch", "envs", name)
        for key in ("dependencies", "extra-dependencies"):
            listed = env.get(key)
            lines += [str(one) for one in listed] if isinstance(listed, list) else []
    deps = table(repo.ini(within(folder, "tox.ini")), "testenv").get("deps", "")
    lines += [line.strip() for line in deps.splitlines()]
    lines += _of_nox(repo.text(within(folder, "noxfile.py")))
    plain = [one.replace(" ", "") for one in lines if _REQUIREMENT.fullmatch(one.replace(" ", ""))]
    return [one for one in dict.fromkeys(plain) if one != "python"][:_OF_TOOLS_MAX]


def _of_nox(text: str) -> list[str]:
    """Return what the sessions that run pytest install by name; the file is parsed, not run."""
    try:
        functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    except (SyntaxError, ValueError, RecursionError):
        return []
    packages: list[str] = []
    for function in functions:
        arguments: dict[str, list[str]] = {"install": [], "run": []}
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in arguments
            ):
                words = [word.value for word in node.args if isinstance(word, ast.Constant)]
                arguments[node.func.attr] += [word for word in words if isinstance(word, str)]
        packages += arguments["install"] if "pytest" in arguments["run"] else []
    return packages


def additions(repo: CheckoutFiles) -> list[Addition]:
    """List the packages for setuptools if its automatic discovery would also find `agents/`.

    With two folders side by side setuptools refuses to build (its "flat-layout" discovery); with
    single modules it would take `agents/` for the only package.
    """
    project = repo.toml("pyproject.toml")
    backend = str(table(project, "build-system").get("build-backend") or "setuptools")
    known = table(project, "tool", "setuptools")
    other = repo.text("setup.py") + repo.text("setup.cfg")
    files = [path for path in repo.files if path.endswith(".py")]
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
    why = "setuptools discovers packages automatically here, and would take agents/ for one"
    return [Addition(path="pyproject.toml", text=f"\n{lines}", why=why)]


_LEFT_OUT = frozenset({
    "test", "tests", "doc", "docs", "example", "examples", "scripts", "tools", "util", "utils",
    "build", "benchmark", "benchmarks", "tasks", "fabfile", "ci", "bin", "python", "exercise",
    "exercises", "unit_test", "unit_tests",
})  # fmt: skip
"""Folders that the discovery of setuptools skips (`FlatLayoutPackageFinder`, setuptools 80)."""
