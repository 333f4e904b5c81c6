"""Documents that can be checked are checked: reference pages, the README's flow, links between
pages.
"""

import re
from pathlib import Path

import pytest

from docs import build

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", sorted(build.pages()))
def test_a_reference_page_is_as_the_code_makes_it(name):
    assert (build.REFERENCE / name).read_text() == build.pages()[name], (
        "make it anew: ./run reference"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_event_and_gate_stands_in_the_architecture_or_reference():
    text = (ROOT / "docs" / "reference" / "flow.md").read_text()
    for gate in ("red", "green", "proof", "untampered", "findings"):
        assert f"`{gate}`" in text


def test_every_oracle_that_the_rules_name_is_there():
    text = (ROOT / "docs" / "reference" / "scheduling.md").read_text()
    rules = text.partition("## The rules")[2].partition("\n## ")[0]
    cells = [line.strip("| ").rpartition(" | ")[2] for line in rules.splitlines()[4:]]
    names = {name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)}
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "core").glob("*.py"))
    assert len(names) > 20
    assert [name for name in sorted(names) if f"def {name}(" not in tests] == []
