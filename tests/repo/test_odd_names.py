"""Names that git, a file system or a person cannot hold are said, never dropped without a word."""

import json

import pytest

from tests.helpers.bare import Bare

FLOW = """\
version: 1
workflows:
  main:
    inputs: {idea: {required: false}}
    stages:
      a: {run: "python3 make.py", writes: ["**"], retry: {max: 1, on: [violation]}}
"""
MAKE = """\
import os
def make(name):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    open(name, "w").write("1")
"""


@pytest.mark.parametrize(
    ("make", "said"),
    [
        ('make(".GIT/x")', ".GIT/x: a name that git cannot hold"),
        ('make("lib/git~1")', "lib/git~1: a name that git cannot hold"),
        ('make("src/App.py")', "src/App.py: differs only in case (from src/app.py;"),
        ('make("new/b"); make("new/B")', "differs only in case"),
        ('[(os.mkdir("d" * 200), os.chdir("d" * 200)) for _ in range(24)]; make("f")',
         "characters): a path that is too long to be read"),
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_committed_is_told_and_the_next_attempt_begins_clean(
    tmp_path, make, said
):
    bare = Bare(tmp_path, FLOW)
    (bare.root / "make.py").write_text(MAKE + make + "\n")
    bare.commit("Make")
    assert bare.run("trigger_workflow", "main").returncode == 1
    ends = [one for one in bare.events() if one["event"] == "stage_finished"]
    assert [said in one["reason"] for one in ends] == [True, True], json.dumps(ends)[:2000]
    assert all(len(one["reason"]) < 600 for one in ends)
