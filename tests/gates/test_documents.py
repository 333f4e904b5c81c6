"""The gate `documents`: a line in the changelog where one is kept, asked for once."""

import pytest
from msgspec.structs import replace

from pipeline.core.evidence import GateVerdict
from pipeline.gates import table
from pipeline.language.flow import GateName
from pipeline.language.words import Glob
from tests.helpers.trees import BASE, TARGET, trees

KEPT = {**BASE, "CHANGELOG.md": "# Changes\n", "changes/README.md": "one file a change\n"}


@pytest.fixture
def work(tmp_path):
    target = replace(TARGET, docs=(Glob("CHANGELOG*"), Glob("changes/**")))
    with trees(tmp_path, KEPT, (target,)) as made:
        yield made


def look(work, *, refused=None, **changes):
    tree = work.plus(**changes)
    known = {GateName.DOCUMENTS: refused} if refused is not None else {}
    return table.check(GateName.DOCUMENTS, work.context(tree, has_next_round=True, refused=known))


def test_a_missing_line_goes_back_once_and_is_then_said(work):
    source = {"src/app/money.py": "x = 1\n"}
    first = look(work, **source)
    assert first.verdict is GateVerdict.FAILED
    assert "CHANGELOG.md has no line about it" in first.failures[0]
    last = look(work, refused=first, **source)
    assert last.verdict is GateVerdict.PASSED, "once, although there is another round"
    assert "has no line about it" in last.detail
    assert last.evidence.missing == first.failures


@pytest.mark.parametrize("path", ["CHANGELOG.md", "changes/7.feature"])
def test_a_line_or_a_fragment_is_enough(work, path):
    assert look(work, **{"src/app/money.py": "x = 1\n", path: "new\n"}).passed


def test_without_a_change_of_the_source_or_a_changelog_there_is_nothing_to_look_at(work, tmp_path):
    assert look(work, **{"tests/test_x.py": ""}).verdict is GateVerdict.NOT_APPLICABLE
    with trees(tmp_path / "b", BASE) as bare:
        found = look(bare, **{"src/app/money.py": "x = 1\n"})
    assert found.verdict is GateVerdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    "title",
    ["Version History\n===", "# What's New\n", ".. _log:\n\nChange log\n---", "# History\n"],
)
def test_a_changelog_is_known_by_its_title_too(tmp_path, title):
    target = replace(TARGET, docs=(Glob("docs/**"),))
    base = {**BASE, "docs/versions.rst": title, "docs/guide.md": "# How history is kept\n"}
    with trees(tmp_path, base, (target,)) as work:
        source = {"src/app/money.py": "x = 1\n"}
        assert look(work, **source).verdict is GateVerdict.FAILED
        assert look(work, **source, **{"docs/guide.md": "more\n"}).verdict is GateVerdict.FAILED
        assert look(work, **source, **{"docs/versions.rst": title + "\nmore\n"}).passed
