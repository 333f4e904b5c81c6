"""What strangers' repositories look like: each test is one kind that was once read wrongly."""

import json

import pytest
import yaml

from pipeline.language import globs
from pipeline.survey.conventions import History, of_a_person
from tests.helpers.looks import PYTHON, Tree

JS_TEST = "test('x', () => {});\n"
PACKAGE = {"devDependencies": {"vitest": "4"}, "scripts": {"test": "vitest run"}}


def covered(tree, path):
    return any(globs.matches_any((*part.source, *part.tests), path) for part in tree.parts)


@pytest.mark.parametrize("length", [20, 21, 22, 40])
def test_a_target_name_of_any_length_makes_a_sound_file(tmp_path, length):
    name = "n" * length
    project = f'[project]\nname = "{name}"\nversion = "1"\n'
    tree = Tree(tmp_path, {**PYTHON, "pyproject.toml": project})
    assert yaml.safe_load(tree.flow())["targets"][0]["name"] == name


@pytest.mark.parametrize(
    "workspace",
    [
        {"pnpm-workspace.yaml": "packages: ['packages/*']\n", "pnpm-lock.yaml": ""},
        {"turbo.json": "{}"},
        {"nx.json": "{}"},
        {"lerna.json": "{}"},
        {"yarn.lock": ""},
    ],
    ids=["pnpm", "turbo", "nx", "lerna", "yarn"],
)
def test_packages_that_tests_at_the_root_exercise_are_source(tmp_path, workspace):
    files = {
        **workspace,
        "package.json": json.dumps({**PACKAGE, "workspaces": ["packages/*"]}),
        "packages/a/package.json": '{"name": "a"}',
        "packages/a/src/index.ts": "export const a = 1;\n",
        "packages/b/package.json": '{"name": "b"}',
        "packages/b/src/deep/b.ts": "export const b = 1;\n",
        "test/a.test.ts": JS_TEST,
    }
    tree = Tree(tmp_path, files)
    assert covered(tree, "packages/a/src/index.ts")
    assert covered(tree, "packages/b/src/deep/new.ts")
    tree.flow()


def test_packages_of_a_uv_workspace_without_tests_are_the_roots(tmp_path):
    root = '[project]\nname = "all"\nversion = "1"\n[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    files = {
        "pyproject.toml": root,
        "packages/a/pyproject.toml": '[project]\nname = "a"\nversion = "1"\n',
        "packages/a/src/a/__init__.py": "",
        "tests/test_all.py": "def test_x(): ...\n",
        "all.py": "",
    }
    assert covered(Tree(tmp_path, files), "packages/a/src/a/__init__.py")


def test_code_that_no_target_covers_is_named_where_no_target_can_take_it(tmp_path):
    files = {
        "a/go.mod": "module example.org/a\n",
        "a/a.go": "package a\n",
        "a/a_test.go": "package a\n",
        "other/b/b.go": "package b\n",
    }
    tree = Tree(tmp_path, files)
    (fact,) = [fact for fact in tree.facts if fact.what == "left out"]
    assert fact.value == "other/b"


def test_bun_runs_the_script_and_not_its_own_runner(tmp_path):
    files = {
        "package.json": '{"scripts": {"test": "playwright test"}}',
        "bun.lock": "",
        "src/a.ts": "",
        "tests/a.spec.ts": "",
    }
    assert Tree(tmp_path, files).part.command == "bun run test"


def test_the_runner_inside_of_a_longer_script_is_found(tmp_path):
    files = {
        "package.json": '{"scripts": {"test": "node --test && npm run lint"}}',
        "index.js": "",
        "test/a.test.js": "",
    }
    part = Tree(tmp_path, files).part
    assert (part.command, part.exit_code_only) == ("node --test", False)


def test_the_group_with_the_checkers_is_installed_too(tmp_path):
    project = (
        '[project]\nname = "thing"\nversion = "1"\n[dependency-groups]\ntest = ["pytest"]\n'
        'typing = ["mypy"]\ndocs = ["sphinx"]\n[tool.mypy]\nfiles = ["src"]\n'
    )
    part = Tree(tmp_path, {**PYTHON, "pyproject.toml": project}).part
    assert "--group typing" in part.setup[0]
    assert "--group docs" not in part.setup[0]


@pytest.mark.parametrize("author", ["dependabot[bot]", "renovate", "A Bot", "pre-commit-ci"])
def test_a_bots_messages_say_nothing_about_the_people(author):
    assert of_a_person(f"{author}\nBump x\n\nSigned-off-by: {author}") == ""
    assert of_a_person("Bea Botha\nBump x") == "Bump x"


def test_a_persons_habit_is_told_from_a_bots():
    messages = ["Bump x\n\nSigned-off-by: dependabot"] * 25 + ["Mend y"]
    told = [of_a_person(f"dependabot[bot]\n{one}") for one in messages[:25]]
    history = History([*filter(None, told), of_a_person("A\nMend y")], signs=False)
    (fact,) = [one for one in history.facts() if one.what == "sign-off"]
    assert fact.value == "no"


def test_new_apps_of_a_django_project_have_writers_for_source_tests_and_templates(tmp_path):
    manage = (
        'import django, os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "site1.settings")\n'
    )
    files = {
        "manage.py": manage,
        "requirements.txt": "django\n",
        "site1/settings.py": "",
        "shop/__init__.py": "",
        "shop/models.py": "",
        "shop/tests.py": "from django.test import TestCase\nclass ShopTest(TestCase): ...\n",
    }
    tree = Tree(tmp_path, files)
    for path in (
        "new/models.py",
        "new/templates/x.html",
        "new/static/x.css",
        "new/migrations/1.py",
    ):
        assert globs.matches_any(tree.part.source, path), path
    for path in ("new/tests.py", "new/tests/test_x.py"):
        assert globs.matches_any(tree.part.tests, path), path
    tree.flow()


def test_test_modules_inside_of_a_rust_packages_source_are_the_testers(tmp_path):
    files = {
        "Cargo.toml": '[package]\nname = "a"\nversion = "0.1.0"\n',
        "src/lib.rs": "#[cfg(test)]\nmod tests;\n",
        "src/tests.rs": "#[test]\nfn x() {}\n",
    }
    tree = Tree(tmp_path, files)
    assert globs.matches_any(tree.part.tests, "src/tests.rs")
    tree.flow()


def test_documents_are_found_beside_the_target_and_at_the_root(tmp_path):
    files = {
        **PYTHON,
        "README.md": "",
        "CHANGES.rst": "",
        "changelog.d/1.feature": "",
        "docs/index.md": "",
        "examples/a.py": "",
    }
    part = Tree(tmp_path, files).part
    assert part.docs == ("docs/**", "examples/**", "README*", "CHANGES*", "changelog.d/**")
    assert "docs: [docs/**" in Tree(tmp_path, files).flow()
