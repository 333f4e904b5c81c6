"""Python: packages and modules, how they are tested, linted and formatted, and what brings their dependencies.

Read are pyproject.toml (PEP 621, PEP 735, poetry, hatch, uv), setup.cfg, setup.py, tox.ini, noxfile.py and the tools'
own files.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.survey.look import Look, Part, within

_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg")
_NOT_SOURCE = frozenset({
    "setup.py", "conftest.py", "noxfile.py", "tasks.py", "fabfile.py", "manage.py",
})  # fmt: skip
_NOT_PACKAGES = frozenset({
    "tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks", "bench", "scripts", "tools", "ci",
})  # fmt: skip
_CONFIG = ("pyproject.toml", "setup.cfg", "setup.py", "uv.lock", "poetry.lock", "pdm.lock", "requirements.txt")
_TEST_EXTRAS = ("test", "tests", "testing", "dev", "develop")
_TEST_NAME = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test)\.py$")
VENV = ".venv"


def find(look: Look) -> Iterator[Part]:
    """Go through the Python projects of a repository."""
    for folder in look.named(*_MARKERS):
        inside = folder.split("/")
        if not _NOT_PACKAGES.isdisjoint(inside):
            continue
        source, tests = _source(look, folder), _tests(look, folder)
        if source:
            yield _part(look, folder, source, tests or ["tests/**"])
    if not look.named(*_MARKERS) and any("/" not in path and path.endswith(".py") for path in look.files):
        source, tests = _source(look, ""), _tests(look, "")
        if source and tests:
            yield _part(look, "", source, tests)


def _part(look: Look, folder: str, source: list[str], tests: list[str]) -> Part:
    command, why = _command(look, folder)
    tools, checks, style = _tools(look, folder, source)
    setup, link = _setup(look, folder, tools)
    missing = [one for one in checks if not _comes(look, folder, one.split()[0], setup)]
    style = [one for one in style if one.split()[0] not in {line.split()[0] for line in missing}]
    own = [name for name in _CONFIG if look.has(folder, name)]
    return Part(
        name=_name(look, folder),
        language="Python",
        folder=folder,
        source=tuple(within(folder, glob) for glob in (*source, *own)),
        tests=tuple(within(folder, glob) for glob in tests),
        command=command,
        exit_code_only="unittest" in command,
        checks=tuple(one for one in checks if one not in missing),
        format=tuple(style),
        setup=setup,
        link=link,
        missing=tuple(missing),
        why=why,
    )


def _name(look: Look, folder: str) -> str:
    project = look.toml(within(folder, "pyproject.toml"))
    name = project.get("project", {}).get("name") or project.get("tool", {}).get("poetry", {}).get("name")
    for file, pattern in (("setup.cfg", r"^name\s*=\s*([\w.-]+)"), ("setup.py", r"\bname\s*=\s*[\"']([\w.-]+)[\"']")):
        found = re.search(pattern, look.text(within(folder, file)), re.MULTILINE)
        name = name or (found.group(1) if found else None)
    return str(name or folder.rpartition("/")[2] or look.root.name)


def _source(look: Look, folder: str) -> list[str]:
    """List the patterns of a project's own source: a `src` folder, packages, or single modules."""
    files = [path for path in look.below(folder) if path.endswith(".py")]
    if any(path.startswith("src/") for path in files):
        return ["src/**"]
    packages = {path.partition("/")[0] for path in files if path.count("/") >= 1}
    own = sorted(
        name for name in packages if name not in _NOT_PACKAGES and f"{name}/__init__.py" in files and name[0] != "."
    )
    if own:
        return [f"{name}/**" for name in own]
    modules = [path for path in files if "/" not in path and path not in _NOT_SOURCE and not _TEST_NAME.search(path)]
    return modules or (["lib/**"] if any(path.startswith("lib/") for path in files) else [])


def _tests(look: Look, folder: str) -> list[str]:
    """List the patterns of a project's tests: what pytest is told, folders by their usual names, or files by theirs."""
    files = look.below(folder)
    named = [path for path in files if _TEST_NAME.search(path)]
    found: list[str] = []
    for path in [*_testpaths(look, folder), "tests", "test", "testing"]:
        if any(name.startswith(f"{path}/") for name in files) and f"{path}/**" not in found:
            found.append(f"{path}/**")
    inside = {path[: path.index("/tests/")] for path in named if "/tests/" in path and not path.startswith("tests/")}
    found += [f"{top}/tests/**" for top in sorted(inside) if not any(top.startswith(one[:-3]) for one in found)]
    if not found and any("/" not in path for path in named):
        found += ["test_*.py", "*_test.py"]
    if not found and named:
        found += ["**/test_*.py", "**/*_test.py"]
    return [*found, "conftest.py"] if found and "conftest.py" in files else found


def _testpaths(look: Look, folder: str) -> list[str]:
    options = _pytest_options(look, folder)
    paths = options.get("testpaths", [])
    words = paths.split() if isinstance(paths, str) else [str(one) for one in paths]
    return [word.strip("/").removeprefix("./") for word in words if word.strip("./")]


def _pytest_options(look: Look, folder: str) -> dict[str, Any]:
    tool = look.toml(within(folder, "pyproject.toml")).get("tool", {}).get("pytest", {})
    found = {**tool.get("ini_options", {}), **tool} if isinstance(tool, dict) else {}
    for name in ("pytest.ini", "tox.ini", "setup.cfg"):
        text = look.text(within(folder, name))
        for section in re.findall(r"^\[(?:tool:)?pytest\]\n((?:(?!\[).*\n?)*)", text, re.MULTILINE):
            if match := re.search(r"^testpaths\s*=\s*(.+(?:\n[ \t]+.+)*)", section, re.MULTILINE):
                found.setdefault("testpaths", match.group(1))
    return found


def _command(look: Look, folder: str) -> tuple[str, str]:
    """Say how the tests are run, and by what that is told."""
    python = _interpreter(look)
    for name in ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "noxfile.py", "setup.py"):
        if "pytest" in look.text(within(folder, name)):
            return f"{python} -m pytest -q", f"{within(folder, name)} names pytest"
    texts = {path: look.text(within(folder, path)) for path in look.below(folder) if _TEST_NAME.search(path)}
    for path, text in sorted(texts.items()):
        if "import pytest" in text or re.search(r"^def test_", text, re.MULTILINE):
            return f"{python} -m pytest -q", f"{within(folder, path)} is written for pytest"
    for path, text in sorted(texts.items()):
        if "unittest" in text and not look.finds("pytest", f"{VENV}/bin"):
            return f"{python} -m unittest", f"{within(folder, path)} is written for unittest, and there is no pytest"
    return f"{python} -m pytest -q", "the usual runner; nothing names another"


def _setup(look: Look, folder: str, tools: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say what brings the dependencies: commands, or folders of the checkout; `tools` are checkers, with their pins."""
    head = f"cd {folder} && " if folder else ""
    project = look.toml(within(folder, "pyproject.toml"))
    for lock, tool, words in (
        ("uv.lock", "uv", "uv sync --quiet --frozen" + _uv_extras(project)),
        ("poetry.lock", "poetry", "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --quiet --no-interaction"),
        ("pdm.lock", "pdm", "pdm install --quiet --frozen-lockfile"),
    ):
        if look.has(folder, lock) and look.finds(tool):
            return (f"{head}{words}",), ()
    if _is_installed(look, _name(look, folder)):
        return (), ()
    if (look.root / folder / VENV / "bin" / "python").exists():
        return (), (within(folder, VENV),)
    return (f"{head}{_pip(look, folder, project, tools)}",), ()


def _comes(look: Look, folder: str, program: str, setup: tuple[str, ...]) -> bool:
    """Tell whether a checker will be there: the set-up brings it, or it can be found already."""
    if any("pip install" in command for command in setup):
        return True
    locks = "".join(look.text(within(folder, name)) for name in ("uv.lock", "poetry.lock", "pdm.lock"))
    is_locked = bool(setup) and f'name = "{program}"' in locks
    return is_locked or look.finds(program, within(folder, f"{VENV}/bin"))


def _is_installed(look: Look, name: str) -> bool:
    """Tell whether the active virtual environment has the project installed, so that it is the one to use."""
    active = Path(look.environ.get("VIRTUAL_ENV", ""))
    plain = re.sub(r"[-_.]+", "_", name).lower()
    there = active.glob("lib/python*/site-packages/*.dist-info") if active.is_absolute() else ()
    return any(re.sub(r"[-_.]+", "_", path.name).lower().startswith(f"{plain}_") for path in there)


def _uv_extras(project: dict[str, Any]) -> str:
    extras = project.get("project", {}).get("optional-dependencies", {})
    return "".join(f" --extra {name}" for name in extras if name in _TEST_EXTRAS)


def _pip(look: Look, folder: str, project: dict[str, Any], tools: dict[str, str]) -> str:
    """Make a virtual environment with the project, its test dependencies, pytest, and the checkers it uses."""
    extras = [name for name in project.get("project", {}).get("optional-dependencies", {}) if name in _TEST_EXTRAS]
    groups = [name for name in project.get("dependency-groups", {}) if name in _TEST_EXTRAS]
    wanted = [f"-r {path}" for path in _requirements(look, folder)]
    if look.has(folder, *_MARKERS):
        wanted.insert(0, f"-e '.[{','.join(extras)}]'" if extras else "-e .")
    wanted += [f"--group {name}" for name in groups]
    brought = _brought(look, folder)
    missing = [pin for name, pin in tools.items() if not re.search(rf"^\W*{name}\b", brought, re.MULTILINE)]
    pytest = [] if "unittest" in _command(look, folder)[0] else ["pytest"]
    upgrade = f"{VENV}/bin/python -m pip install -q -U 'pip>=25.1' && " if groups else ""
    words = " ".join([*pytest, *missing, *wanted])
    return f"{_interpreter(look)} -m venv {VENV} && {upgrade}{VENV}/bin/python -m pip install -q {words}"


def _requirements(look: Look, folder: str) -> list[str]:
    """List the files of requirements that tests and checks need, three at the most."""
    pattern = r"(?:requirements/)?(?:(?:requirements|reqs?)[-_])?(?:requirements|tests?|dev|develop\w*|testing)\.txt"
    return [path for path in look.below(folder) if re.fullmatch(pattern, path)][:3]


def _brought(look: Look, folder: str) -> str:
    """Return what a project's own declarations ask for, a requirement a line."""
    project = look.toml(within(folder, "pyproject.toml"))
    lists = {**project.get("project", {}).get("optional-dependencies", {}), **project.get("dependency-groups", {})}
    declared = [str(one) for name in _TEST_EXTRAS for one in lists.get(name, [])]
    return "\n".join([*declared, *(look.text(within(folder, path)) for path in _requirements(look, folder))])


def _interpreter(look: Look) -> str:
    return "python" if look.finds("python") else "python3"


def _tools(look: Look, folder: str, source: list[str]) -> tuple[dict[str, str], list[str], list[str]]:
    """List the checkers a project uses (with the version that pre-commit pins), their commands, and formatters."""
    tool = look.toml(within(folder, "pyproject.toml")).get("tool", {})
    hooks = look.text(within(folder, ".pre-commit-config.yaml")) or look.text(".pre-commit-config.yaml")
    setup_cfg = look.text(within(folder, "setup.cfg"))
    roots = " ".join(sorted({glob.partition("/")[0] for glob in source}))
    ruff = "ruff" in tool or bool(look.has(folder, "ruff.toml", ".ruff.toml"))
    wanted = [
        ("ruff", "ruff check", ruff or "id: ruff\n" in hooks or "id: ruff-check" in hooks),
        ("ruff", "ruff format --check", "format" in tool.get("ruff", {}) or "id: ruff-format" in hooks),
        ("black", "black --check --quiet .", "black" in tool or "id: black" in hooks),
        ("isort", "isort --check-only .", "isort" in tool or "id: isort" in hooks),
        ("flake8", f"flake8 {roots}", bool(look.has(folder, ".flake8")) or "[flake8]" in setup_cfg),
        ("mypy", f"mypy {roots}", "mypy" in tool or bool(look.has(folder, "mypy.ini")) or "[mypy" in setup_cfg),
        ("pyright", "pyright", "pyright" in tool or bool(look.has(folder, "pyrightconfig.json"))),
    ]
    pins: dict[str, str] = {}
    checks, style = [], []
    for program, command, is_used in wanted:
        if not is_used:
            continue
        pin = re.search(rf"repo:\s*\S*{program}\S*\s+rev:\s*[\"']?v?([\d.]+)", hooks)
        pins[program] = f"{program}=={pin.group(1)}" if pin else program
        checks.append(command)
        style += {
            "ruff format --check": ["ruff format --quiet {files}"],
            "black --check --quiet .": ["black --quiet {files}"],
            "isort --check-only .": ["isort --quiet {files}"],
        }.get(command, [])
    return pins, checks, style
