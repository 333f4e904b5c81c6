"""Python: packages and modules, how they are tested, linted and formatted, and what brings their dependencies.

Read are pyproject.toml (PEP 621, PEP 735, poetry, hatch, uv), setup.cfg, setup.py, tox.ini, noxfile.py and the tools'
own files.
"""

import re
from collections.abc import Iterator
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
    setup, link, brings = _setup(look, folder)
    checks, style, missing = _tools(look, folder, source, brings)
    own = [name for name in _CONFIG if look.has(folder, name)]
    return Part(
        name=_name(look, folder),
        language="Python",
        folder=folder,
        source=tuple(within(folder, glob) for glob in (*source, *own)),
        tests=tuple(within(folder, glob) for glob in tests),
        command=command,
        exit_code_only="unittest" in command,
        checks=tuple(checks),
        format=tuple(style),
        setup=setup,
        link=link,
        missing=tuple(missing),
        why=why,
    )


def _name(look: Look, folder: str) -> str:
    project = look.toml(within(folder, "pyproject.toml"))
    name = project.get("project", {}).get("name") or project.get("tool", {}).get("poetry", {}).get("name")
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
    for name in ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "noxfile.py", "setup.py"):
        if "pytest" in look.text(within(folder, name)):
            return "python -m pytest -q", f"{within(folder, name)} names pytest"
    texts = {path: look.text(within(folder, path)) for path in look.below(folder) if _TEST_NAME.search(path)}
    for path, text in sorted(texts.items()):
        if "import pytest" in text or re.search(r"^def test_", text, re.MULTILINE):
            return "python -m pytest -q", f"{within(folder, path)} is written for pytest"
    for path, text in sorted(texts.items()):
        if "unittest" in text and not look.finds("pytest", f"{VENV}/bin"):
            return "python -m unittest", f"{within(folder, path)} is written for unittest, and there is no pytest"
    return "python -m pytest -q", "the usual runner; nothing names another"


def _setup(look: Look, folder: str) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Say what brings the dependencies: commands, folders of the checkout, and the text that names what they bring."""
    head = f"cd {folder} && " if folder else ""
    project = look.toml(within(folder, "pyproject.toml"))
    for lock, tool, words in (
        ("uv.lock", "uv", "uv sync --quiet --frozen" + _uv_extras(project)),
        ("poetry.lock", "poetry", "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --quiet --no-interaction"),
        ("pdm.lock", "pdm", "pdm install --quiet --frozen-lockfile"),
    ):
        if look.has(folder, lock) and look.finds(tool):
            return (f"{head}{words}",), (), look.text(within(folder, lock))
    if "VIRTUAL_ENV" in look.environ:
        return (), (), ""
    if (look.root / folder / VENV / "bin" / "python").exists():
        return (), (within(folder, VENV),), ""
    return (f"{head}{_pip(look, folder, project)}",), (), _declared(look, folder)


def _uv_extras(project: dict[str, Any]) -> str:
    extras = project.get("project", {}).get("optional-dependencies", {})
    return "".join(f" --extra {name}" for name in extras if name in _TEST_EXTRAS)


def _pip(look: Look, folder: str, project: dict[str, Any]) -> str:
    """Make a virtual environment with the project, its test dependencies and pytest."""
    extras = [name for name in project.get("project", {}).get("optional-dependencies", {}) if name in _TEST_EXTRAS]
    groups = [name for name in project.get("dependency-groups", {}) if name in _TEST_EXTRAS]
    files = [
        path
        for path in look.below(folder)
        if re.fullmatch(r"(?:requirements[-_/])?(?:requirements|test|tests|dev|testing)[-_\w]*\.txt", path)
    ]
    wanted = [f"-r {path}" for path in sorted(files)[:3]]
    if look.has(folder, *_MARKERS):
        wanted.insert(0, f"-e '.[{','.join(extras)}]'" if extras else "-e .")
    wanted += [f"--group {name}" for name in groups]
    pytest = "" if "unittest" in _command(look, folder)[0] else "pytest "
    upgrade = f"{VENV}/bin/python -m pip install -q -U 'pip>=25.1' && " if groups else ""
    return f"python -m venv {VENV} && {upgrade}{VENV}/bin/python -m pip install -q {pytest}{' '.join(wanted)}".rstrip()


def _declared(look: Look, folder: str) -> str:
    names = [
        path for path in look.below(folder) if re.search(r"(?:^|/)[\w-]*(?:requirements|test|dev)[\w-]*\.txt$", path)
    ]
    return "\n".join(look.text(within(folder, name)) for name in (*_MARKERS, *names))


def _tools(look: Look, folder: str, source: list[str], brings: str) -> tuple[list[str], list[str], list[str]]:
    """List checks, formatters, and the checks whose program is missing."""
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
        ("mypy", f"mypy {roots}", "mypy" in tool or bool(look.has(folder, "mypy.ini")) or "[mypy]" in setup_cfg),
        ("pyright", "pyright", "pyright" in tool or bool(look.has(folder, "pyrightconfig.json"))),
    ]
    checks, style, missing = [], [], []
    for program, command, is_used in wanted:
        if not is_used:
            continue
        if not (look.finds(program, f"{VENV}/bin") or re.search(rf"\b{program}\b", brings)):
            missing.append(command)
            continue
        checks.append(command)
        style += {
            "ruff format --check": ["ruff format --quiet {files}"],
            "black --check --quiet .": ["black --quiet {files}"],
            "isort --check-only .": ["isort --quiet {files}"],
        }.get(command, [])
    return checks, style, missing
