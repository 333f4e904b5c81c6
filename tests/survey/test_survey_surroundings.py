"""What tests need beside the files, found in CI workflows, compose files and examples of variables."""

import pytest
import yaml

from tests.helpers.looks import PYTHON, Tree

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
WORKFLOW = """
on: push
env: {APP_ENV: test, TOKEN: "${{ secrets.TOKEN }}"}
jobs:
  lint: {runs-on: ubuntu-latest, steps: [{run: make lint}]}
  tests:
    runs-on: ubuntu-latest
    services:
      db:
        image: postgres:16
        env: {POSTGRES_PASSWORD: "p w"}
        ports: ["5433:5432"]
      cache: {image: "redis:7"}
      odd: {image: "example/unknown"}
    steps:
      - run: pytest
        env: {DATABASE_URL: "postgres://postgres:p@localhost:5433/app"}
"""
COMPOSE = "services:\n  db: {image: postgres:16, ports: ['5432:5432']}\n  web: {build: .}\n"
EXAMPLE = "# copy to .env\nDATABASE_URL=postgres://app:app@db:5432/app\nDEBUG=1\nAPI=https://example.org/v1\n"


def target(tree):
    return yaml.safe_load(tree.flow())["targets"][0]["test"]


def test_pytest_is_told_djangos_settings(tmp_path):
    found = target(Tree(tmp_path, {**PYTHON, "manage.py": MANAGE, "shop/settings.py": ""}))
    assert found["env"] == {"DJANGO_SETTINGS_MODULE": "shop.settings"}


def test_settings_that_pytest_knows_already_are_not_named_again(tmp_path):
    files = {**PYTHON, "manage.py": MANAGE, "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = x\n"}
    assert target(Tree(tmp_path, files)) == "python3 -m pytest -q"


def test_servers_and_variables_of_the_ci_workflow_are_the_tests_own(tmp_path):
    files = {**PYTHON, ".github/workflows/ci.yml": WORKFLOW}
    found = target(Tree(tmp_path, files, "python3 docker"))
    assert found["env"] == {
        "APP_ENV": "test",
        "DATABASE_URL": "postgres://postgres:p@localhost:5433/app",
    }
    database, cache = (one["start"] for one in found["services"])
    assert database.startswith("exec docker run --rm --name idea-to-pr-db -p 127.0.0.1:5433:5432")
    assert database.endswith(" -e 'POSTGRES_PASSWORD=p w' postgres:16")
    assert cache.endswith("-p 127.0.0.1:6379:6379 redis:7")
    assert found["services"][0]["ready"] == "docker exec idea-to-pr-db pg_isready -q"
    assert found["services"][0]["stop"] == "docker rm -f idea-to-pr-db"


def test_without_docker_servers_are_comments_that_say_so(tmp_path):
    tree = Tree(tmp_path, {**PYTHON, ".github/workflows/ci.yml": WORKFLOW})
    assert "services" not in target(tree)
    assert "# .github/workflows/ci.yml, job tests starts servers by docker, which is" in tree.flow()
    assert "      #   - start: exec docker run" in tree.flow()


def test_a_compose_file_and_an_example_of_variables_say_the_same(tmp_path):
    files = {**PYTHON, "compose.yaml": COMPOSE, ".env.example": EXAMPLE}
    found = target(Tree(tmp_path, files, "python3 docker"))
    assert found["env"] == {"DATABASE_URL": "postgres://app:app@localhost:5432/app"}
    assert found["services"] == [
        {
            "start": "exec docker compose up db",
            "ready": "docker compose exec -T db pg_isready -q",
            "stop": "docker compose rm -sf db",
        }
    ]


@pytest.mark.parametrize(
    "files",
    [
        {".github/workflows/ci.yml": "jobs: [not, a, mapping]\n"},
        {".github/workflows/ci.yml": "jobs: {a: {services: [x], steps: 3}}\n"},
        {".github/workflows/ci.yml": "jobs: {a: {services: {db: postgres}}}\n"},
        {"compose.yaml": "services: {db: null}\n", ".env.example": "\x00="},
    ],
)
def test_odd_files_give_nothing(tmp_path, files):
    assert target(Tree(tmp_path, {**PYTHON, **files})) == "python3 -m pytest -q"
