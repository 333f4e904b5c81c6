"""What npm scripts do before the tests: builds become a part of the test command, checks do not."""

import json
import subprocess

import pytest

from pipeline.gates.runners import base, javascript
from pipeline.language import target, words
from pipeline.language.runners import runner_of, words_of
from pipeline.language.target import Runner
from tests.helpers.looks import Tree

SOURCE = {"src/one.ts": "", "test/one.test.js": ""}
BUILD = {"build": "tsc -p ."}


def looked_at(folder, scripts, files=(), **more):
    package = json.dumps({"name": "thing", "scripts": scripts, **more})
    return Tree(folder, {"package.json": package, **SOURCE, **dict(files)})


def after(build, command):
    return f"""sh -c '{build}; built=$?; "$@" && exit $built' sh {command}"""


@pytest.mark.parametrize(
    ("scripts", "command"),
    [
        ({"test": "npm run build && vitest run"}, after("npm run build", "vitest run")),
        ({"pretest": "npm run build", "test": "jest"}, after("npm run build", "jest")),
        ({"test": "tsc && node --test test/"}, after("tsc", "node --test test/")),
        (
            {"test": "npm run build && npm run unit", "preunit": "node gen.js", "unit": "vitest"},
            after("npm run build && node gen.js", "vitest run"),
        ),
        (
            {"pretest": "rimraf dist && tsc", "test": "NODE_ENV=test mocha test"},
            after(
                "rimraf dist && tsc",
                "env NODE_ENV=test mocha test --reporter xunit --reporter-option output={report}",
            ),
        ),
        (
            {"test": "npm run lint && npm run build && jest && npm run size", "lint": "eslint ."},
            after("npm run build", "jest"),
        ),
        ({"test": "FLAG='a && b' make && vitest"}, None),
    ],
    ids=["before", "pretest", "node", "nested", "cleaned", "lint too", "quoted"],
)
def test_what_a_script_builds_is_built_before_the_tests_of_each_tree(tmp_path, scripts, command):
    tree = looked_at(tmp_path, {**BUILD, **scripts})
    found = words_of(tree.part.command)
    assert (found[:2], found[3]) == (["sh", "-c"], "sh")
    assert command in {None, tree.part.command}
    assert not tree.part.exit_code_only
    assert "it builds first" in tree.flow()


@pytest.mark.parametrize(
    ("script", "runner", "report"),
    [
        ("vitest run", Runner.VITEST, "--outputFile"),
        ("jest", Runner.JEST, "--outputFile"),
        ("node --test", Runner.NODE, "--test-reporter"),
    ],
)
def test_the_runner_behind_a_build_is_recognised_and_gets_its_options(
    tmp_path, script, runner, report
):
    part = looked_at(tmp_path, {**BUILD, "pretest": "npm run build", "test": script}).part
    test = target.TestCommand(command=part.command)
    request = base.TestRequest(
        target=target.Target(name=words.Name("x"), source=part.source, tests=part.tests, test=test),
        paths=("test/one.test.js",),
        read={"test/one.test.js": b""}.get,
        only=(),
        root=tmp_path,
        folder=tmp_path,
        canary="canary",
    )
    argv = javascript.command_line(request).argv
    assert runner_of(test) is runner
    assert argv[:5] == (*words_of(part.command)[:4], script.partition(" ")[0])
    assert any(word.startswith(report) for word in argv[5:])


@pytest.mark.parametrize(("build", "tests"), [(0, 0), (0, 3), (2, 0), (2, 3)])
def test_tests_run_after_a_failed_build_and_pass_only_after_a_good_one(tmp_path, build, tests):
    command = looked_at(tmp_path, {"test": f"sh -c 'exit {build}' && vitest"}).part.command
    program = tmp_path / "vitest"
    program.write_text(f'#!/bin/sh\necho "$@"\nexit {tests}\n')
    program.chmod(0o755)
    argv = [word.replace("vitest", str(program)) for word in words_of(command)]
    done = subprocess.run([*argv, "--json"], check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("run --json\n", tests or build)


@pytest.mark.parametrize(
    "scripts",
    [
        {"pretest": "npm run lint", "test": "vitest run"},
        {"pretest": "npm run ready", "ready": "eslint . && tsc --noEmit", "test": "vitest"},
        {"test": "npm run test:types && vitest run", "test:types": "tsd"},
        {"test": "rimraf coverage && vitest run"},
        {"test": "npx eslint . && vitest run"},
        {"test": "vitest run && npm run build"},
        {"test": "npm ci && vitest run"},
        {"pretest": "npm run pretest", "test": "vitest run"},
    ],
    ids=["lint", "many", "types", "only cleans", "npx", "behind", "installs", "circle"],
)
def test_steps_that_build_nothing_are_no_part_of_the_test_command(tmp_path, scripts):
    assert looked_at(tmp_path, {**BUILD, **scripts}).part.command == "vitest run"


def test_yarn_2_runs_no_script_before_another(tmp_path):
    files = {"yarn.lock": "__metadata:\n", ".yarnrc.yml": "nodeLinker: node-modules\n"}
    scripts = {**BUILD, "pretest": "yarn build", "test": "vitest run"}
    assert looked_at(tmp_path, scripts, files).part.command == "vitest run"


def test_built_tests_count_by_the_exit_status_of_the_whole_script(tmp_path):
    scripts = {**BUILD, "pretest": "npm run build", "test": "node --test dist/test"}
    part = looked_at(tmp_path, scripts).part
    assert (part.command, part.exit_code_only) == ("npm test --silent", True)


def test_a_runner_between_other_steps_is_found(tmp_path):
    scripts = {"test": "npm run unit && npm run lint", "unit": "node --test test", "lint": "xo"}
    assert looked_at(tmp_path, scripts).part.command == "node --test test"
