"""What runners' modules make of a tree and of what was printed, without the runners."""

import json

import pytest

from pipeline.gates.runners import cargo, go, javascript, junit, status
from pipeline.gates.testrun import TestOutcome as Outcome
from tests.gates.recorded import printed, requested


def test_a_canary_lies_beside_each_kind_of_test_file_in_each_folder(tmp_path):
    files = dict.fromkeys(["e2e/a.spec.ts", "src/a.test.ts", "src/b.test.ts", "src/words.ts"], "")
    line = javascript.command_line(requested(tmp_path, "vitest run", files, tests="**/*.*"))
    assert sorted(line.files) == [
        "e2e/idea_to_pr_c4n4ry.spec.ts",
        "src/idea_to_pr_c4n4ry.test.ts",
        "src/test_idea_to_pr_c4n4ry.ts",
    ]


def test_patterns_that_only_a_shell_spreads_are_spread_for_node(tmp_path):
    files = dict.fromkeys(["web/test/a.test.ts", "web/test/b.test.ts", "test/no.test.ts"], "")
    line = javascript.command_line(
        requested(tmp_path, "node --import tsx --test test/*.test.ts", files, folder="web")
    )
    assert line.argv[line.argv.index(str(tmp_path / "report")) + 1 :] == (
        "test/a.test.ts",
        "test/b.test.ts",
        "test/idea_to_pr_c4n4ry.test.ts",
    )


def test_a_file_that_rust_names_from_its_workspace_is_found(tmp_path):
    files = {"crates/wire/tests/decode.rs": "", "crates/wire/src/lib.rs": ""}
    text = (
        "error[E0425]: cannot find function `decode` in this scope\n  --> "
        "crates/wire/tests/decode.rs:3:5\n"
    )
    report = cargo.read(
        requested(tmp_path, "cargo test", files, folder="crates/wire"),
        printed(tmp_path, stderr=text),
    )
    assert list(report.uncollected) == ["crates/wire/tests/decode.rs"]


def test_doc_tests_keep_their_names_when_lines_above_them_move(tmp_path):
    text = (
        "running 3 tests\ntest src/lib.rs - parse (line {2}) ... ok\ntest src/lib.rs - add "
        "(line 3) ... ok\n"
    )
    text += "test src/lib.rs - parse (line {1}) ... FAILED\n"
    text += "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n"
    report = [
        cargo.read(
            requested(tmp_path, "cargo test", {}),
            printed(
                tmp_path, text.replace("{1}", first).replace("{2}", second), "   Doc-tests roman\n"
            ),
        ).tests
        for first, second in (("9", "12"), ("19", "122"))
    ]
    assert {name: case.outcome for name, case in report[0].items()} == {
        "doc roman::src/lib.rs - add": Outcome.PASSED,
        "doc roman::src/lib.rs - parse": Outcome.FAILED,
        "doc roman::src/lib.rs - parse (2)": Outcome.PASSED,
    }
    assert report[0].keys() == report[1].keys()


def test_a_go_module_without_tests_gets_its_canary_beside_its_code(tmp_path):
    line = go.command_line(
        requested(
            tmp_path, "go test ./...", {"app/main.go": "package main\n"}, tests="**/*_test.go"
        )
    )
    assert list(line.files) == ["app/idea_to_pr_c4n4ry_test.go"]


@pytest.mark.parametrize(
    ("error", "file"),
    [
        ("Error: Cannot find module '../lib/pop'", "test/pop.js"),
        (
            (
                "SyntaxError: The requested module '../lib/list.js' does not provide an export "
                "named 'last'"
            ),
            "test/last.js",
        ),
        ("TypeError: boom", None),
    ],
)
def test_a_test_file_that_mocha_cannot_load_is_one_that_waits_for_a_name(tmp_path, error, file):
    files = {
        "test/pop.js": "require('../lib/pop')",
        "test/last.js": "import { last } from '../lib/list.js'",
        "test/old.js": "require('../lib/push')",
    }
    command = "mocha test/** --reporter xunit --reporter-option output={report}"
    text = f"\n Exception during run: {error}\n    at x\n"
    report = junit.read(requested(tmp_path, command, files), printed(tmp_path, stderr=text))
    assert list(report.uncollected) == ([file] if file else [])
    assert bool(report.unreadable) is (file is None)


def test_with_the_exit_status_alone_both_streams_are_told(tmp_path):
    report = status.read(
        requested(tmp_path, "make test", {}),
        printed(tmp_path, "FAIL polite: got a, want b\n", "make: *** [test] Error 1\n"),
    )
    text = report.tests["part::all"].message
    assert json.dumps(text) == json.dumps(
        "exit status 1:\nFAIL polite: got a, want b\nmake: *** [test] Error 1"
    )


JEST_FILES = dict.fromkeys(
    ["test/money.test.js", "src/money.js", "jest.ci.json", "vitest.ci.config.js"], ""
)


@pytest.mark.parametrize(
    ("command", "is_named"),
    [
        ("jest", False),
        ("jest --config jest.ci.json", False),
        ("jest --maxWorkers 1", False),
        ("jest --collectCoverageFrom src/**", False),
        ("vitest run --config vitest.ci.config.js", False),
        ("jest test", True),
        ("jest --ci ./test/money.test.js", True),
        ("jest --ci=true money", True),
        ("vitest run test/money.test.js", True),
        ("node --test test/*.test.js", True),
    ],
)
def test_a_command_that_names_test_files_has_to_name_the_canary_too(tmp_path, command, is_named):
    line = javascript.command_line(requested(tmp_path, command, JEST_FILES, tests="test/**"))
    assert ("test/idea_to_pr_c4n4ry.test.js" in line.argv) is is_named


def test_the_canary_loads_the_source_that_reaches_for_assertions(tmp_path):
    files = {
        "test/a.test.js": "",
        "src/server.js": "listen()",
        "src/checks.js": "import assert from 'node:assert';",
    }
    line = javascript.command_line(requested(tmp_path, "node --test", files, tests="test/**"))
    (text,) = line.files.values()
    assert 'require("../src/checks.js")' in text
    assert "server.js" not in text


@pytest.mark.parametrize(
    ("command", "places"),
    [
        ("cargo test", ["tests/idea_to_pr_c4n4ry.rs"]),
        ("cargo test --tests", ["tests/idea_to_pr_c4n4ry.rs"]),
        ("cargo test --lib", ["src/lib.rs"]),
        ("cargo test --test money", ["tests/money.rs"]),
        ("cargo test --lib --test=money", ["tests/money.rs", "src/lib.rs"]),
        ("cargo test --doc", []),
    ],
)
def test_the_canary_lies_where_the_selection_of_cargo_runs_it(tmp_path, command, places):
    files = {"Cargo.toml": "[package]\nname='m'", "src/lib.rs": "// l", "tests/money.rs": "// t"}
    line = cargo.command_line(requested(tmp_path, command, files))
    assert list(line.files) == places
    assert all("fn t_c4n4ry()" in text for text in line.files.values())


@pytest.mark.parametrize(
    ("runner", "command", "is_told"),
    [
        (cargo, "cargo test --doc", True),
        (cargo, "cargo test --offline adds", True),
        (cargo, "cargo test -p money -- --skip slow", True),
        (cargo, "cargo test --offline -p money -- --test-threads 1", False),
        (go, "go test -run TestAdd ./...", True),
        (go, "go test ./...", False),
        (javascript, "jest -t adds", True),
        (javascript, "jest --maxWorkers 1", False),
    ],
)
def test_a_command_that_runs_some_tests_only_is_told_so(tmp_path, runner, command, is_told):
    text = "running 1 test\ntest adds ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; "
    text += '0 measured\n{"Action":"pass","Test":"TestAdd"}\n'
    (tmp_path / "report").write_text('{"testResults": []}')
    output = printed(tmp_path, text, "     Running tests/money.rs (target/debug/money-0a1b)\n")
    report = runner.read(requested(tmp_path, command, {}), output)
    assert bool(report.selects) is is_told
