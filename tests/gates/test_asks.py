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
