"""How a repository words its commits is found from its history, and CODEOWNERS says who reviews."""

from pathlib import Path

import pytest

from pipeline.engine.publishing import owners, wording
from pipeline.language.publishing import Style
from pipeline.repo.store import Store

CONVENTIONAL = ["feat: a", "fix(api)!: b", "chore: c", "docs: d", "Merge something"]
SCOPED = ["feat(api): a", "fix(risk): b", "feat(risk): c", "docs: d", "test(api): e"]
PLAIN = ["Add a thing", "Mend another", "Say more", "Hold it", "feat: once"]
LOWER = ["add a thing", "mend another", "say more", "hold it", "Once"]
PREFIX = ["net/http: a", "cmd/go: b", "net: c", "runtime: d", "all: e"]
TICKET = ["ABC-1: a", "ABC-2: b", "ABC-33: c", "Bump", "ABC-4: d"]
PATHS = ["src/net/http/server.py", "src/net/http/client.py", "tests/net/test_http.py"]


@pytest.mark.parametrize(
    ("subjects", "idea", "test", "feat", "docs"),
    [
        ([], "x", "test: limit it (failing)", "feat: limit it", "docs: limit it"),
        (PLAIN[:4], "x", "test: limit it (failing)", "feat: limit it", "docs: limit it"),
        (CONVENTIONAL, "x", "test: limit it (failing)", "feat: limit it", "docs: limit it"),
        (
            SCOPED,
            "x",
            "test(net): limit it (failing)",
            "feat(net): limit it",
            "docs(net): limit it",
        ),
        (PLAIN, "x", "Add failing tests: limit it", "Limit it", "Document: limit it"),
        (LOWER, "x", "add failing tests: limit it", "limit it", "document: limit it"),
        (
            PREFIX,
            "x",
            "net/http: limit it (tests) (failing)",
            "net/http: limit it",
            "net/http: limit it (docs)",
        ),
        (
            TICKET,
            "ABC-77 limits",
            "ABC-77: Add failing tests: limit it",
            "ABC-77: Limit it",
            "ABC-77: Document: limit it",
        ),
        (TICKET, "limits", "Add failing tests: limit it", "Limit it", "Document: limit it"),
    ],
)
def test_commits_are_worded_as_the_repository_words_them(subjects, idea, test, feat, docs):
    words = wording.wording_of(subjects, Style.AUTO, idea)
    assert [
        words.subject(kind, "limit it", PATHS, red=True) for kind in ("test", "feat", "docs")
    ] == [test, feat, docs]


def test_the_scope_is_one_in_use_that_fits_most_paths():
    words = wording.wording_of(SCOPED, Style.AUTO, "")
    assert (
        words.subject("feat", "x", ["src/trading/risk.py", "README.md"], red=False)
        == "feat(risk): x"
    )


def test_tests_that_nobody_saw_fail_are_not_called_failing():
    assert (
        wording.wording_of(CONVENTIONAL, Style.AUTO, "").subject("test", "x", PATHS, red=False)
        == "test: x"
    )
    assert (
        wording.wording_of(PLAIN, Style.AUTO, "").subject("test", "x", PATHS, red=False)
        == "Add tests: x"
    )


def test_a_style_of_the_flow_goes_before_the_history():
    assert (
        wording.wording_of(PLAIN, Style.CONVENTIONAL, "").subject("feat", "x", PATHS, red=True)
        == "feat: x"
    )
    assert (
        wording.wording_of(CONVENTIONAL, Style.PLAIN, "").subject("feat", "x", PATHS, red=True)
        == "X"
    )


def test_a_subject_is_cut_at_a_word():
    words = wording.wording_of(CONVENTIONAL, Style.AUTO, "")
    said = words.subject("test", "word " * 20, PATHS, red=True)
    assert len(said) <= 72
    assert said.endswith("word (failing)")


@pytest.mark.parametrize(
    ("pattern", "path", "owned"),
    [
        ("*", "a/b.py", True),
        ("*.js", "a/b.js", True),
        ("*.js", "a/b.py", False),
        ("/build/logs/", "build/logs/x/y", True),
        ("/build/logs/", "a/build/logs/x", False),
        ("docs/*", "docs/a.md", True),
        ("docs/*", "docs/a/b.md", False),
        ("apps/", "x/apps/y/z", True),
        ("/docs/", "docs/a/b", True),
        ("**/logs", "a/b/logs/c", True),
        ("/apps/github", "apps/github", True),
        ("src/**/x.py", "src/a/b/x.py", True),
        ("src/a?.py", "src/ab.py", True),
        ("a.b", "axb", False),
    ],
)
def test_codeowners_patterns_mean_what_the_forge_says(pattern, path, owned, tmp_path: Path):
    assert bool(found(tmp_path, f"{pattern} @x\n", path)) is owned


def test_the_last_matching_line_wins_and_can_take_owners_away(tmp_path: Path):
    text = "# who\n* @all\n/src/ @core team@example.org # why\n/src/gen/\n"
    assert found(tmp_path, text, "src/a.py", "README", "src/gen/x.py") == {
        "@core": ["src/a.py"],
        "team@example.org": ["src/a.py"],
        "@all": ["README"],
    }


def found(folder: Path, text: str, *paths: str) -> dict[str, list[str]]:
    (folder / "objects").mkdir(exist_ok=True)
    store = Store(folder / "store.git", folder / "objects")
    blob = store.git("hash-object", "-w", "--stdin", stdin=text.encode())
    inner = store.git("mktree", stdin=f"100644 blob {blob}\tCODEOWNERS\n".encode())
    tree = store.git("mktree", stdin=f"040000 tree {inner}\t.github\n".encode())
    return owners.owners(store, tree, paths)
