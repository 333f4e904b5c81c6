"""The page about strangers' repositories has the rows of its list, and nothing of a machine."""

import re

from tests.real import strangers


def rows():
    lines = strangers.PAGE.read_text().splitlines()
    cells = [line.split(" | ") for line in lines if line.startswith("| ")]
    return [(row[0].removeprefix("| "), row[1], row[2]) for row in cells[2:]]


def test_the_pages_rows_are_those_of_the_list():
    wanted = [(one.name, one.archive.version, one.language) for one in strangers.strangers()]
    assert rows() == wanted
    assert len({name for name, *_ in wanted}) == len(wanted) == 50


def test_every_row_comes_from_a_run_and_the_page_names_no_machine():
    text = strangers.PAGE.read_text()
    assert "| not run |" not in text
    assert not re.search(r"https?://|/(?:root|home|tmp|opt|usr|work)/", text)
