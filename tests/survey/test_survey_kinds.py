"""Kinds of repositories that the list of strangers brought to light; each was read wrongly once."""

import json

import pytest

from pipeline.language import globs
from tests.helpers.looks import PYTHON, Tree

SETUP = {"setup.py": 'from setuptools import setup\nsetup(name="thing")\n', "thing/__init__.py": ""}
CASE = "import unittest\n\n\nclass ThingTest(unittest.TestCase):\n    def test_it(self):\n        pass\n"


def covers(patterns, path):
    return globs.matches_any(patterns, path)


@pytest.mark.parametrize("name", ["configure.ac", "configure.in"])
def test_a_project_of_the_autotools_is_configured_and_checked(tmp_path, name):
    files = {name: "", "Makefile.am": "", "src/main.c": "", "tests/run.test": "", "util.h": ""}
    tree = Tree(tmp_path, files)
    part = tree.part
    assert part.command == "sh -c 'autoreconf -fi && ./configure && make check'"
    assert part.exit_code_only
    assert covers(part.source, "src/main.c")
    assert covers(part.source, "util.h")
    assert covers(part.source, "Makefile.am")
    assert covers(part.tests, "tests/run.test")
    tree.flow()


def test_code_of_any_language_in_the_root_of_a_make_project_is_source_and_its_tests_are_tests(
    tmp_path,
):
    files = {"Makefile": "test:\n\tgo test x\n", "errors.go": "", "errors_test.go": "", "x.rb": ""}
    part = Tree(tmp_path, files).part
    assert covers(part.source, "errors.go")
    assert covers(part.source, "x.rb")
    assert covers(part.tests, "errors_test.go")
    assert part.is_tested


@pytest.mark.parametrize(
    "name",
    [
        "dev_requirements.txt",
        "test-requirements.txt",
        "tests-requirements.txt",
        "testing_requirements.txt",
    ],
)
def test_requirements_that_are_named_the_other_way_round_are_installed(tmp_path, name):
    part = Tree(tmp_path, {**PYTHON, name: "mock\n"}).part
    assert f"-r {name}" in part.setup[0]


def test_requirements_of_documents_are_not_installed(tmp_path):
    part = Tree(tmp_path, {**PYTHON, "docs-requirements.txt": "sphinx\n"}).part
    assert "docs-requirements" not in part.setup[0]


@pytest.mark.parametrize(
    ("tox", "script", "command"),
    [
        (
            "[testenv]\nchangedir = tests\ncommands =\n    {envpython} runtests.py {posargs}\n",
            "tests/runtests.py",
            "sh -c 'cd tests && python3 runtests.py'",
        ),
        ("[testenv]\ncommands = python run.py -v {posargs:x}\n", "run.py", "python3 run.py -v"),
    ],
)
def test_a_test_script_of_the_projects_own_is_run_where_tox_runs_it(tmp_path, tox, script, command):
    files = {**SETUP, "tox.ini": tox, script: "", "tests/test_it.py": CASE}
    tree = Tree(tmp_path, files)
    assert (tree.part.command, tree.part.exit_code_only) == (command, True)
    assert "pytest" not in tree.part.setup[0]
    assert "report: exit-code" in tree.flow()


@pytest.mark.parametrize(
    "commands",
    ["python -m pytest run.py", "python setup.py test", "python away.py", ""],
)
def test_other_commands_of_tox_leave_the_tests_to_pytest(tmp_path, commands):
    files = {**SETUP, "tox.ini": f"[testenv]\ncommands = {commands}\n", "tests/test_it.py": CASE}
    assert Tree(tmp_path, {**files, "run.py": ""}).part.command == "python3 -m pytest -q"


@pytest.mark.parametrize(
    "scripts",
    [
        {"test": "npm run build && npm run borp && jest test/jest", "borp": "borp"},
        {"test": "jest && npm run node", "node": "node --test more"},
        {"test": "mocha && ava"},
        {
            "test": "npm run unit && npm run more",
            "unit": "vitest run",
            "more": "vitest run -c b.ts",
        },
        {"pretest": "tape 'old/*.js'", "test": "vitest run"},
    ],
    ids=["one inside", "one behind", "other", "twice", "before"],
)
def test_tests_of_several_runners_count_together(tmp_path, scripts):
    package = json.dumps({"name": "thing", "scripts": scripts, "devDependencies": {"jest": "30"}})
    files = {"package.json": package, "src/a.js": "", "test/a.test.js": ""}
    part = Tree(tmp_path, files).part
    assert (part.command, part.exit_code_only) == ("npm test --silent", True)
    assert "starts several test runners" in part.why


LOCK = """version = 1
[[package]]
name = "pytest"
version = "8.3.0"
[[package]]
name = "pytest-xdist"
version = "3.1"
[[package]]
name = "ruff"
version = "0.9.1"
[[package]]
name = "pytest-cov"
version = "6.0"
[[package]]
name = "pytest-cov"
version = "7.0"
"""
GROUPS = '[dependency-groups]\ntests = ["pytest", "pytest-xdist>=3", "pytest-cov"]\n[tool.ruff]\n'


@pytest.mark.parametrize("lock", ["uv.lock", "poetry.lock", "pdm.lock"])
def test_without_the_tool_of_a_lock_file_its_test_runner_and_checkers_are_installed(tmp_path, lock):
    project = PYTHON["pyproject.toml"] + GROUPS
    part = Tree(tmp_path, {**PYTHON, "pyproject.toml": project, lock: LOCK}).part
    install = part.setup[0].rpartition("install -q ")[2]
    assert (
        install == "pytest==8.3.0 ruff==0.9.1 pytest-xdist==3.1 pytest-cov==7.0 -e . --group tests"
    )
    assert part.checks == ("ruff check",)


def test_a_version_of_pre_commit_comes_before_that_of_a_lock_file(tmp_path):
    hooks = "repos:\n- repo: https://example.org/ruff-pre-commit\n  rev: v0.8.0\n  hooks: [{id: ruff}]\n"
    project = PYTHON["pyproject.toml"] + GROUPS
    files = {**PYTHON, "pyproject.toml": project, "uv.lock": LOCK, ".pre-commit-config.yaml": hooks}
    assert "ruff==0.8.0" in Tree(tmp_path, files).part.setup[0]


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [
        ("tox.ini", "commands = coverage run -m unittest discover {toxinidir}/tests {posargs}\n", "discover tests"),
        ("pyproject.toml", "test = 'coverage run -m unittest discover {args:tests}'\n", "discover tests"),
        ("Makefile", "test:\n\tpython -m unittest -v && echo done\n", ""),
    ],
)  # fmt: skip
def test_a_project_that_runs_unittest_itself_is_tested_by_it(tmp_path, name, text, command):
    files = {**SETUP, name: f"[x]\n{text}", "tests/test_it.py": CASE}
    part = Tree(tmp_path, files).part
    assert part.command == f"python3 -m unittest {command}".strip()
    assert f"{name} runs unittest" in part.why
    assert not part.exit_code_only


def test_files_that_pytest_is_told_to_take_for_tests_by_a_plural_are_tests(tmp_path):
    files = {**PYTHON, "tests/tests_core.py": PYTHON["tests/test_thing.py"]}
    del files["tests/test_thing.py"]
    part = Tree(tmp_path, files).part
    assert (part.is_tested, part.tests) == (True, ("tests/**",))
