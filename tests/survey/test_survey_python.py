"""What the survey finds of Python projects, from their files alone."""

import pytest

from pipeline.survey import python_setup
from tests.helpers.looks import PYTHON, Tree

TEST = "def test_it():\n    pass\n"
PROJECT = '[project]\nname = "thing"\nversion = "1"\n'


@pytest.mark.parametrize(
    ("files", "source", "tests"),
    [
        ({"src/thing/__init__.py": "", "tests/test_a.py": TEST}, ["src/**"], ["tests/**"]),
        (
            {"thing/__init__.py": "", "examples/x.py": "", "test/test_a.py": TEST},
            ["thing/**"],
            ["test/**"],
        ),
        ({"thing.py": "", "test_thing.py": TEST}, ["thing.py"], ["test_*.py"]),
        (
            {"thing/__init__.py": "", "thing/tests/test_a.py": TEST},
            ["thing/**"],
            ["thing/tests/**"],
        ),
        ({"src/thing/a.py": "", "src/thing/a_test.py": TEST}, ["src/**"], ["src/**/*_test.py"]),
        (
            {"thing/core/a.py": "", "tests/test_a.py": TEST, "other/x.py": ""},
            ["other/**", "thing/**"],
            ["tests/**"],
        ),
        ({"src/thing/__init__.py": ""}, ["src/**"], ["tests/**"]),
    ],
    ids=["src", "flat", "module", "inside", "beside", "namespace", "no tests"],
)
def test_source_and_tests_are_told_apart_in_each_layout(tmp_path, files, source, tests):
    tree = Tree(tmp_path, {"pyproject.toml": PROJECT, **files})
    assert list(tree.part.source) == [*source, "pyproject.toml"]
    assert list(tree.part.tests) == tests
    tree.flow()


def test_tests_beside_the_source_are_tests_although_there_is_a_folder_of_tests(tmp_path):
    files = {**PYTHON, "src/thing/test_inner.py": TEST, "src/thing/test_helper.py": "X = 1\n"}
    files["pyproject.toml"] = PROJECT
    assert Tree(tmp_path, files).part.tests == ("tests/**", "src/**/test_*.py")


def test_a_helper_that_is_only_called_like_a_test_is_source(tmp_path):
    files = {**PYTHON, "pyproject.toml": PROJECT, "src/thing/test_helper.py": "X = 1\n"}
    assert Tree(tmp_path, files).part.tests == ("tests/**",)


def test_testpaths_say_where_tests_lie(tmp_path):
    files = {
        "pyproject.toml": PROJECT,
        "setup.cfg": "[tool:pytest]\ntestpaths = spec unit\n",
        "thing/__init__.py": "",
    }
    tree = Tree(tmp_path, {**files, "spec/test_a.py": TEST, "unit/test_b.py": TEST})
    assert tree.part.tests == ("spec/**", "unit/**")


def test_an_application_with_nothing_but_requirements_is_found(tmp_path):
    files = {
        "requirements.txt": "",
        "requirements-dev.txt": "pytest\n",
        "app/main.py": "",
        "tests/test_a.py": TEST,
    }
    part = Tree(tmp_path, files).part
    assert part.source == ("app/**", "requirements.txt")
    assert part.setup[0].endswith("pip install -q -r requirements-dev.txt -r requirements.txt")


def test_a_pyproject_that_only_configures_tools_is_not_installed(tmp_path):
    part = Tree(
        tmp_path, {"pyproject.toml": "[tool.ruff]\n", "app.py": "", "test_app.py": TEST}
    ).part
    assert "-e ." not in part.setup[0]
    assert part.checks == ("ruff check",)


@pytest.mark.parametrize(
    "text",
    ["[project\nname=", "project = 3\ntool = 'x'\n", "[project]\nname = 3\n[tool]\nruff = 1\n"],
)
def test_a_pyproject_that_says_nonsense_does_not_stop_the_survey(tmp_path, text):
    tree = Tree(tmp_path, {**PYTHON, "pyproject.toml": text})
    assert tree.part.source == ("src/**", "pyproject.toml")
    tree.flow()


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    tree = Tree(tmp_path, {**PYTHON, "pyproject.toml": "[project\n"})
    assert [fact.value for fact in tree.facts if fact.what == "not readable"] == ["pyproject.toml"]


def test_unittest_is_run_by_pytest_as_long_as_it_can_be_brought(tmp_path):
    files = {
        **PYTHON,
        "pyproject.toml": PROJECT,
        "tests/test_thing.py": "import unittest\nclass T(unittest.TestCase): ...",
    }
    assert "-m pytest" in Tree(tmp_path, files).part.command


def test_unittest_is_run_as_it_is_where_the_environment_has_no_pytest(tmp_path):
    files = {
        **PYTHON,
        "pyproject.toml": PROJECT,
        "tests/test_thing.py": "import unittest\nclass T(unittest.TestCase): ...",
    }
    tree = Tree(tmp_path, files)
    (tree.root / ".venv" / "bin").mkdir(parents=True)
    (tree.root / ".venv" / "bin" / "python").touch()
    part = Tree(tmp_path, files).part
    assert (part.command, part.exit_code_only, part.link) == (
        "python3 -m unittest",
        False,
        (".venv",),
    )


def test_an_environment_without_pytest_is_not_lent(tmp_path):
    tree = Tree(tmp_path, PYTHON)
    (tree.root / ".venv" / "bin").mkdir(parents=True)
    (tree.root / ".venv" / "bin" / "python").touch()
    assert Tree(tmp_path, PYTHON).part.link == ()
    (tree.root / ".venv" / "bin" / "pytest").touch()
    assert Tree(tmp_path, PYTHON).part.link == (".venv",)


def test_a_lock_file_is_used_when_its_tool_is_there(tmp_path):
    files = {**PYTHON, "uv.lock": ""}
    assert "pip install" in Tree(tmp_path / "without", files).part.setup[0]
    assert Tree(tmp_path / "with", files, "python3 uv").part.setup == ("uv sync --quiet --frozen",)


def test_what_tox_and_poetry_ask_for_is_brought_by_pip(tmp_path):
    tox = (
        "[tox]\nenvlist = py\n[testenv]\ndeps =\n    pytest>=7\n    attrs\n    py{38}: "
        "old\ncommands = pytest\n"
    )
    poetry = (
        '[tool.poetry]\nname = "thing"\n[tool.poetry.group.dev.dependencies]\nfreezegun = "^1"\n'
    )
    part = Tree(tmp_path, {**PYTHON, "pyproject.toml": poetry, "tox.ini": tox}).part
    assert part.setup[0].endswith("pip install -q freezegun 'pytest>=7' attrs -e .")


@pytest.mark.parametrize(
    ("text", "brought"),
    [
        (
            '@nox.session\ndef t(session):\n    session.install("-e", ".[x]", "attrs>=22")\n    session.run("pytest")\n',
            ["'attrs>=22'"],
        ),
        (
            '@nox.session\ndef docs(session):\n    session.install("sphinx")\n    session.run("sphinx-build")\n',
            [],
        ),
        ("def broken(:\n", []),
    ],
)
def test_what_the_test_sessions_of_nox_install_is_brought_by_pip(tmp_path, text, brought):
    part = Tree(tmp_path, {**PYTHON, "noxfile.py": text}).part
    assert part.setup[0].partition("install -q ")[2].split() == ["pytest", *brought, "-e", "."]


def test_a_plugin_of_pytest_is_not_taken_for_pytest(tmp_path):
    part = Tree(tmp_path, {**PYTHON, "requirements-dev.txt": "pytest-cov\n"}).part
    assert part.setup[0].endswith("pip install -q pytest -e . -r requirements-dev.txt")


HOOKS = """\
repos:
- repo: https://github.com/astral-sh/ruff-pre-commit
  rev: v0.6.9
  hooks: [{id: ruff, args: [--fix, --select=I]}]
- repo: https://github.com/psf/black-pre-commit-mirror
  rev: 25.1.0
  hooks: [{id: black, args: ["--line-length=100"]}]
- repo: https://github.com/adamchainz/blacken-docs
  rev: 1.20.0
  hooks: [{id: blacken-docs}]
- repo: https://github.com/pre-commit/mirrors-mypy
  rev: v1.17.0
  hooks: [{id: mypy}]
- repo: local
  hooks: [{id: isort, language: system}, nonsense]
"""


def test_checks_take_the_versions_and_words_of_pre_commit(tmp_path):
    project = {"pyproject.toml": PROJECT + "[tool.mypy]\nfiles = ['src']\n"}
    part = Tree(tmp_path, {**PYTHON, **project, ".pre-commit-config.yaml": HOOKS}).part
    assert part.checks == (
        "ruff check --select=I",
        "black --check --line-length=100 .",
        "isort --check-only .",
        "mypy",
    )
    assert part.format == ("black --quiet --line-length=100 {files}", "isort --quiet {files}")
    assert "install -q pytest ruff==0.6.9 black==25.1.0 isort mypy==1.17.0 -e ." in part.setup[0]


@pytest.mark.parametrize(
    "text", ["repos: [", "repos: 3\n", "- a\n", "repos:\n- hooks: {id: black}\n", "a: &a [*a]\n"]
)
def test_hooks_that_say_nonsense_do_not_stop_the_survey(tmp_path, text):
    assert Tree(tmp_path, {**PYTHON, ".pre-commit-config.yaml": text}).part.checks == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "pyproject.toml",
            PROJECT + '[tool.pytest.ini_options]\naddopts = ["--cov=thing", "-n", "auto"]\n',
        ),
        ("pytest.ini", "[pytest]\naddopts =\n    -v --cov\n    -n 4\n\n[other]\ntimeout = 3\n"),
    ],
)
def test_plugins_that_the_options_of_pytest_need_are_brought(tmp_path, name, text):
    part = Tree(tmp_path, {**PYTHON, "pyproject.toml": PROJECT, name: text}).part
    assert part.setup[0].endswith("pip install -q pytest pytest-cov pytest-xdist -e .")


def test_settings_tell_plugins_as_well(tmp_path):
    settings = '[tool.pytest.ini_options]\nasyncio_mode = "auto"\ntimeout = 10\n'
    part = Tree(tmp_path, {**PYTHON, "pyproject.toml": PROJECT + settings}).part
    assert part.setup[0].endswith("pip install -q pytest pytest-asyncio pytest-timeout -e .")


@pytest.mark.parametrize(
    ("text", "brought"),
    [
        ("[dependency-groups]\ndev = ['sphinx']\ntests = ['pytest']\n", "-e . --group tests"),
        ("[dependency-groups]\ndev = ['pytest']\n", "-e . --group dev"),
        ("[project.optional-dependencies]\ndev = ['sphinx']\ntest = ['pytest']\n", "-e '.[test]'"),
        ("[project.optional-dependencies]\ndev = ['pytest']\n", "-e '.[dev]'"),
        ("[dependency-groups]\ndev = ['pytest']\ntest = ['attrs']\n", "pytest -e . --group test"),
    ],
)
def test_extras_and_groups_for_tests_go_before_those_for_development(tmp_path, text, brought):
    part = Tree(tmp_path, {**PYTHON, "pyproject.toml": PROJECT + text}).part
    assert part.setup[0].endswith(f"pip install -q {brought}")


def test_requirements_for_tests_go_before_those_for_development(tmp_path):
    files = {f"requirements/{name}.txt": "pytest\n" for name in ("dev", "tests", "docs")}
    part = Tree(tmp_path, {**PYTHON, **files}).part
    assert part.setup[0].endswith("pip install -q -e . -r requirements/tests.txt")


def test_a_project_inside_of_another_is_a_target_of_its_own(tmp_path):
    plugin = {
        "plugin/pyproject.toml": '[project]\nname = "plug"\n',
        "plugin/plug.py": "",
        "plugin/tests/test_p.py": TEST,
    }
    tree = Tree(
        tmp_path,
        {"pyproject.toml": PROJECT, "thing/__init__.py": "", "tests/test_a.py": TEST, **plugin},
    )
    assert tree.names == ["thing", "plug"]
    assert tree.parts[0].command == "python3 -m pytest -q tests"
    assert tree.parts[0].source == ("thing/**", "pyproject.toml")
    tree.flow()


def test_examples_templates_and_vendored_projects_are_no_targets(tmp_path):
    others = (
        "examples/demo",
        "template/{{name}}",
        "src/thing/_vendor/lib",
        "vendor/lib",
        ".hidden/x",
        "docs",
    )
    files = {f"{folder}/{name}": text for folder in others for name, text in PYTHON.items()}
    assert Tree(tmp_path, {**PYTHON, **files}).names == ["thing"]


def test_a_folder_with_a_blank_and_a_quote_is_written_for_the_shell(tmp_path):
    tree = Tree(tmp_path, {f"it's mine/{name}": text for name, text in PYTHON.items()})
    assert tree.part.setup[0].startswith("""cd 'it'"'"'s mine' && """)
    tree.flow()


def test_setuptools_is_told_its_package_where_it_would_take_agents_for_one(tmp_path):
    flat = Tree(
        tmp_path, {"pyproject.toml": PROJECT, "thing/__init__.py": "", "tests/test_a.py": TEST}
    )
    assert [one.text for one in python_setup.additions(flat.repo)] == [
        '\n[tool.setuptools.packages.find]\ninclude = ["thing*"]\n'
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"src/thing/__init__.py": ""},
        {"thing/__init__.py": "", "setup.py": 'setup(packages=["thing"])'},
        {
            "pyproject.toml": PROJECT + '[build-system]\nbuild-backend = "hatchling.build"\n',
            "thing/__init__.py": "",
        },
        {
            "pyproject.toml": PROJECT + '[tool.setuptools]\npackages = ["thing"]\n',
            "thing/__init__.py": "",
        },
    ],
)
def test_a_project_that_names_its_packages_is_left_alone(tmp_path, files):
    assert python_setup.additions(Tree(tmp_path, {"pyproject.toml": PROJECT, **files}).repo) == []


def test_unittest_files_that_pytest_does_not_collect_are_run_by_unittest(tmp_path):
    files = {"thing.py": "", "tests.py": "import unittest\nclass ThingTest(unittest.TestCase): ..."}
    part = Tree(tmp_path, files).part
    assert (part.command, part.exit_code_only) == ("python3 -m unittest", False)
