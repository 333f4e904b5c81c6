"""Find Python targets: packages and modules, where their tests are, and how to run them.

It reads pyproject.toml (PEP 621, PEP 735, poetry, hatch, uv), setup.cfg, setup.py, requirement
files, tox.ini, noxfile.py and the tools' own files.
"""

import re
from collections.abc import Iterator
from typing import Any

from pipeline.survey.checkout_files import CheckoutFiles, FoundTarget, table, within
from pipeline.survey.python_pytest import testpaths
from pipeline.survey.python_scripts import own_script, unittest_command
from pipeline.survey.python_setup import VENV, find_setup, interpreter, is_installable
from pipeline.survey.python_tools import find_checks

_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg")
_NOT_SOURCE = frozenset({
    "setup.py", "conftest.py", "noxfile.py", "tasks.py", "fabfile.py", "manage.py",
})  # fmt: skip
_NOT_PACKAGES = frozenset({
    "tests", "test", "testing", "docs", "doc", "examples", "example", "benchmarks", "bench",
    "scripts", "tools", "ci",
})  # fmt: skip
_CONFIG = (
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "requirements.txt",
)
_DJANGO = ("**/*.py", "**/templates/**", "**/static/**", "**/locale/**")
_DJANGO_TESTS = ("**/tests/**", "**/tests.py", "**/test_*.py")
"""New apps of a Django project bring their own folders, with tests inside."""

_TEST_NAME = re.compile(r"(?:^|/)(?:tests?_[^/]*|[^/]*_test|tests)\.py$")
_PYTEST_NAME = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test)\.py$")
_IS_TEST = re.compile(r"^\s*(?:async )?def test|^class \w*(?:Test|Case)", re.MULTILINE)
_FOLDERS = ("tests", "test", "testing")


def find(repo: CheckoutFiles) -> Iterator[FoundTarget]:
    """Yield the Python projects of a repository.

    Files without a project around them count as one project.
    """
    folders = repo.folders_with(*_MARKERS)
    for folder in folders:
        files = repo.below(folder, folders)
        if source := _source(repo, folder, files):
            yield _target(repo, folder, files, source)
    if not folders and any(
        "/" not in path or path.count("/") == 1 for path in repo.files if path.endswith(".py")
    ):
        files = repo.below("")
        source = _source(repo, "", files)
        if source and _tests(repo, "", files):
            yield _target(repo, "", files, source)


def _target(repo: CheckoutFiles, folder: str, files: list[str], source: list[str]) -> FoundTarget:
    tests = _tests(repo, folder, files)
    if "django" in repo.text(within(folder, "manage.py")):
        source, tests = (
            [*_DJANGO, "requirements*.txt"],
            list(dict.fromkeys([*tests, *_DJANGO_TESTS])),
        )
    command, why = _command(repo, folder, files)
    if (
        "-m pytest" in command
        and not testpaths(repo, folder)
        and len(files) != len(repo.below(folder))
    ):
        command += "".join(f" {glob[:-3]}" for glob in tests if glob.endswith("/**"))
    used = find_checks(repo, folder, source)
    setup, link = find_setup(repo, folder, used, needs_pytest="pytest" in command)
    checks = [one for one in used.checks if _will_be_installed(repo, folder, one.split()[0], setup)]
    missing = [one for one in used.checks if one not in checks]
    left_out = {one.split()[0] for one in missing}
    own = [name for name in _CONFIG if repo.has(folder, name)]
    project = table(repo.toml(within(folder, "pyproject.toml")), "project")
    name = project_name(repo, folder)
    return FoundTarget(
        name=name,
        language="Python",
        folder=folder,
        source=tuple(within(folder, glob) for glob in (*source, *own)),
        tests=tuple(within(folder, glob) for glob in tests or ["tests/**"]),
        command=command,
        exit_code_only=not re.search(r"-m (?:pytest|unittest)|manage\.py test", command),
        checks=tuple(checks),
        format=tuple(one for one in used.format if one.split()[0] not in left_out),
        setup=setup,
        link=link,
        missing=tuple(missing),
        package=_plain(name) if is_installable(repo, folder) else "",
        wants=tuple(_plain(one) for one in _requirements(project)),
        is_tested=bool(tests),
        why=why,
    )


def project_name(repo: CheckoutFiles, folder: str) -> str:
    """Return a project's declared name, or else the name of its folder."""
    project = repo.toml(within(folder, "pyproject.toml"))
    name = table(project, "project").get("name") or table(project, "tool", "poetry").get("name")
    for file, pattern in (
        ("setup.cfg", r"^name\s*=\s*([\w.-]+)"),
        ("setup.py", r"\bname\s*=\s*[\"']([\w.-]+)[\"']"),
    ):
        match = re.search(pattern, repo.text(within(folder, file)), re.MULTILINE)
        name = name or (match.group(1) if match else None)
    return str(name or folder.rpartition("/")[2] or repo.root.name)


def _requirements(project: dict[str, Any]) -> list[str]:
    lines = project.get("dependencies") or ()
    return [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines if isinstance(line, str)]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _source(repo: CheckoutFiles, folder: str, files: list[str]) -> list[str]:
    """Return the patterns of a project's source: a `src` folder, packages, or single modules."""
    files = [path for path in files if path.endswith(".py")]
    if any(path.startswith("src/") for path in files):
        return ["src/**"]
    tops = {path.partition("/")[0] for path in files if "/" in path}
    tops = {
        top for top in tops if top not in _NOT_PACKAGES and top[0] != "." and top.isidentifier()
    }
    packages = {top for top in tops if f"{top}/__init__.py" in files}
    if not packages:  # namespace packages, and applications that are not installed at all
        named = re.split(r"[-_.]", project_name(repo, folder).lower())[0]
        packages = {top for top in tops if top.lower() == named} or tops - {
            "migrations",
            "notebooks",
        }
    modules = [
        path
        for path in files
        if "/" not in path and path not in _NOT_SOURCE and not _TEST_NAME.search(path)
    ]
    if packages and is_installable(repo, folder):
        return [f"{name}/**" for name in sorted(packages)]
    return [*(f"{name}/**" for name in sorted(packages)), *modules]


def _tests(repo: CheckoutFiles, folder: str, files: list[str]) -> list[str]:
    """Return the patterns of a project's tests.

    They come from pytest's configuration, the usual names of folders, or the names of files.
    """
    named = [path for path in files if _TEST_NAME.search(path)]
    configured = testpaths(repo, folder)
    globs: list[str] = []
    for path in [*configured, *_FOLDERS]:
        if any(name.startswith(f"{path}/") for name in named) and f"{path}/**" not in globs:
            globs.append(f"{path}/**")
    others: list[str] = []
    if not (globs and configured):
        others = [path for path in named if _is_test(repo, folder, path, globs)]
    inside = {path[: path.index("/tests/")] for path in others if "/tests/" in path}
    globs += [f"{top}/tests/**" for top in sorted(inside)]
    beside = [path for path in others if "/tests/" not in path]
    for top in sorted({path.partition("/")[0] if "/" in path else "" for path in beside}):
        names = {
            path.rpartition("/")[2]
            for path in beside
            if (path.startswith(f"{top}/") if top else "/" not in path)
        }
        head = f"{top}/**/" if top else ""
        globs += [f"{head}test_*.py"] if any(name.startswith("test_") for name in names) else []
        globs += [f"{head}*_test.py"] if any(name.endswith("_test.py") for name in names) else []
        globs += [f"{head}tests.py"] if "tests.py" in names else []
    return [*globs, "conftest.py"] if globs and "conftest.py" in files else globs


def _is_test(repo: CheckoutFiles, folder: str, path: str, globs: list[str]) -> bool:
    """Return whether a file named like a test has tests, and is in no known test folder."""
    if any(path.startswith(glob[:-2]) for glob in globs):
        return False
    return bool(_IS_TEST.search(repo.text(within(folder, path))))


def _command(repo: CheckoutFiles, folder: str, files: list[str]) -> tuple[str, str]:
    """Return the test command, and the evidence for it."""
    python = interpreter(repo)
    pytest = f"{python} -m pytest -q"
    if own := own_script(repo, folder, python):
        return own, f"{within(folder, 'tox.ini')} runs a test script of the project's own"
    names = (
        "pytest.ini",
        "pyproject.toml",
        "tox.ini",
        "setup.cfg",
        "noxfile.py",
        "setup.py",
        "Pipfile",
    )
    for name in (
        *names,
        *(path for path in files if "requirements" in path and path.endswith(".txt")),
    ):
        if "pytest" in repo.text(within(folder, name)):
            return pytest, f"{within(folder, name)} names pytest"
    tests = [path for path in files if _TEST_NAME.search(path)]
    unittest = ""
    for path in tests:
        text = repo.text(within(folder, path))
        if "import pytest" in text or re.search(r"^def test_", text, re.MULTILINE):
            return pytest, f"{within(folder, path)} is written for pytest"
        unittest = unittest or (
            within(folder, path) if "unittest" in text or "django" in text else ""
        )
    if unittest and "django" in repo.text(within(folder, "manage.py")):
        return f"{python} manage.py test", f"{within(folder, 'manage.py')} is Django's"
    if unittest:
        return _of_unittest(repo, folder, tests, unittest)
    return pytest, "the usual test runner; no file names another"


def _of_unittest(
    repo: CheckoutFiles, folder: str, tests: list[str], example: str
) -> tuple[str, str]:
    """Return the command for tests that are written for unittest, as `example` is."""
    python = interpreter(repo)
    own, where = unittest_command(repo, folder, python)
    if own:
        return own, f"{where} runs unittest"
    if repo.holds(folder, VENV) and not repo.holds(folder, f"{VENV}/bin/pytest"):
        return (
            f"{python} -m unittest",
            f"{example} is written for unittest, and {VENV} has no pytest",
        )
    if not any(_PYTEST_NAME.search(path) for path in tests):
        return (
            f"{python} -m unittest",
            f"{example} is written for unittest, and pytest does not collect files of that name",
        )
    why = f"{example} is written for unittest, which pytest runs as well"
    return f"{python} -m pytest -q", why


def _will_be_installed(
    repo: CheckoutFiles, folder: str, program: str, setup: tuple[str, ...]
) -> bool:
    """Return whether set-up installs a checker, or it is installed already."""
    if any("pip install" in command for command in setup):
        return True
    locks = "".join(
        repo.text(within(at, name))
        for at in {folder, ""}
        for name in ("uv.lock", "poetry.lock", "pdm.lock")
    )
    is_locked = bool(setup) and f'name = "{program}"' in locks
    return is_locked or repo.has_program(program, within(folder, f"{VENV}/bin"))
