"""What a small idea costs when all goes well: calls, and words in prompts."""

import json
import shutil

from pipeline.demo import stage_set
from tests.helpers.project import Project

WORDS_MAX = 2_768
"""Half of what eleven calls took for an idea of this length."""


def test_a_small_idea_takes_five_calls_and_few_words(tmp_path):
    project = Project(tmp_path / "p")
    scope = project.take("planner") / "outputs" / "scope.json"
    scope.write_text('{"size": "small", "reproduced": "no example", "questions": []}')
    shutil.rmtree(project.take("developer", 1))
    shutil.copytree(project.take("developer", 2), project.takes / "developer" / "1")
    done = project.trigger(f"{stage_set.idea()} {'and so on ' * 30}", "--json")
    assert done.returncode == 0, done.stderr
    prompts = {path.parent.parent.name: path for path in project.takes.glob("*/[0-9]/prompt.md")}
    assert sorted(prompts) == [
        "create_tests",
        "developer",
        "doc_review_final",
        "integration_validator",
        "planner",
    ]
    promised = [stage for stage, path in prompts.items() if "`change.diff`:" in path.read_text()]
    assert sorted(promised) == ["developer", "doc_review_final", "integration_validator"]
    words = {stage: len(path.read_text().split()) for stage, path in prompts.items()}
    assert sum(words.values()) <= WORDS_MAX, words
    stages = json.loads(done.stdout)["stages"]
    skipped = {name for name, stage in stages.items() if stage["state"] == "skipped"}
    assert {"coordinator", "sdk_analyst", "revise_tests", "cover_findings"} <= skipped
