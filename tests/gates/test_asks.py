"""What runners' modules make of a tree and of what was printed, without the runners."""

import json
from pathlib import Path

import pytest

from pipeline.gates.runners import cargo, go, javascript, junit, status
from pipeline.gates.runners.base import Ask, Left
from pipeline.gates.testrun import TestOutcome as Outcome
from pipeline.language.target import Target
from pipeline.language.target import TestCommand as Command
from pipeline.language.words import Glob, Name


def asked(
    tmp_path: Path, command: str, files: dict[str, str], folder: str = "", tests: str = "test/**"
) -> Ask:
    target = Target(
        name=Name("part"),
        folder=folder,
        source=(Glob("src/**"),),
        tests=(Glob(tests),),
        test=Command(command=command),
    )
    return Ask(
        target=target,
        paths=tuple(files),
        read=lambda path: files[path].encode() if path in files else None,
        only=(),
        root=tmp_path / "root",
        folder=tmp_path,
        canary="c4n4ry",
    )


def left(tmp_path: Path, stdout: str = "", stderr: str = "", code: int = 1) -> Left:
    for name, text in (("out", stdout), ("err", stderr)):
        (tmp_path / name).write_text(text)
    return Left(code=code, stdout=tmp_path / "out", stderr=tmp_path / "err", gist=stderr or stdout)


def test_a_canary_lies_beside_each_kind_of_test_file_in_each_folder(tmp_path):
    files = dict.fromkeys(["e2e/a.spec.ts", "src/a.test.ts", "src/b.test.ts", "src/words.ts"], "")
    call = javascript.call(asked(tmp_path, "vitest run", files, tests="**/*.*"))
    assert sorted(call.files) == [
        "e2e/idea_to_pr_c4n4ry.spec.ts",
        "src/idea_to_pr_c4n4ry.test.ts",
        "src/test_idea_to_pr_c4n4ry.ts",
    ]


def test_patterns_that_only_a_shell_spreads_are_spread_for_node(tmp_path):
    files = dict.fromkeys(["web/test/a.test.ts", "web/test/b.test.ts", "test/no.test.ts"], "")
    call = javascript.call(
        asked(tmp_path, "node --import tsx --test test/*.test.ts", files, folder="web")
    )
    assert call.argv[call.argv.index(str(tmp_path / "report")) + 1 :] == (
        "test/a.test.ts",
        "test/b.test.ts",
        "test/idea_to_pr_c4n4ry.test.ts",
    )


def test_a_file_that_rust_names_from_its_workspace_is_found(tmp_path):
    files = {"crates/wire/tests/decode.rs": "", "crates/wire/src/lib.rs": ""}
    said = "error[E0425]: cannot find function `decode` in this scope\n  --> crates/wire/tests/decode.rs:3:5\n"
    seen = cargo.read(
        asked(tmp_path, "cargo test", files, folder="crates/wire"), left(tmp_path, stderr=said)
    )
    assert list(seen.uncollected) == ["crates/wire/tests/decode.rs"]


def test_doc_tests_keep_their_names_when_lines_above_them_move(tmp_path):
    said = "running 3 tests\ntest src/lib.rs - parse (line {2}) ... ok\ntest src/lib.rs - add (line 3) ... ok\n"
    said += "test src/lib.rs - parse (line {1}) ... FAILED\n"
    seen = [
        cargo.read(
            asked(tmp_path, "cargo test", {}),
            left(
                tmp_path, said.replace("{1}", first).replace("{2}", second), "   Doc-tests roman\n"
            ),
        ).tests
        for first, second in (("9", "12"), ("19", "122"))
    ]
    assert {name: case.outcome for name, case in seen[0].items()} == {
        "doc roman::src/lib.rs - add": Outcome.PASSED,
        "doc roman::src/lib.rs - parse": Outcome.FAILED,
        "doc roman::src/lib.rs - parse (2)": Outcome.PASSED,
    }
    assert seen[0].keys() == seen[1].keys()


def test_a_go_module_without_tests_gets_its_canary_beside_its_code(tmp_path):
    call = go.call(
        asked(tmp_path, "go test ./...", {"app/main.go": "package main\n"}, tests="**/*_test.go")
    )
    assert list(call.files) == ["app/idea_to_pr_c4n4ry_test.go"]


@pytest.mark.parametrize(
    ("error", "file"),
    [
        ("Error: Cannot find module '../lib/pop'", "test/pop.js"),
        (
            "SyntaxError: The requested module '../lib/list.js' does not provide an export named 'last'",
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
    said = f"\n Exception during run: {error}\n    at x\n"
    seen = junit.read(asked(tmp_path, command, files), left(tmp_path, stderr=said))
    assert list(seen.uncollected) == ([file] if file else [])
    assert bool(seen.unreadable) is (file is None)


def test_with_the_exit_status_alone_both_streams_are_told(tmp_path):
    seen = status.read(
        asked(tmp_path, "make test", {}),
        left(tmp_path, "FAIL polite: got a, want b\n", "make: *** [test] Error 1\n"),
    )
    said = seen.tests["part::all"].message
    assert json.dumps(said) == json.dumps(
        "exit status 1:\nFAIL polite: got a, want b\nmake: *** [test] Error 1"
    )
