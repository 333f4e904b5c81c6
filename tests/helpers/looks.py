"""File trees as people have them, surveyed without a repository around them."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.engine.ground import flows
from pipeline.engine.starting import adopt
from pipeline.language import flow_check, flow_file
from pipeline.survey.checkout_files import CheckoutFiles, Fact, FoundTarget
from pipeline.survey.survey import Survey, find_targets

SHIPPED = Path(__file__).parents[2] / "agents" / "flow.yaml"
PYTHON = {
    "pyproject.toml": '[project]\nname = "thing"\nversion = "1"\n[tool.pytest.ini_options]\n',
    "src/thing/__init__.py": "",
    "tests/test_thing.py": "def test_it():\n    pass\n",
}


class Tree:
    """A folder with files, a PATH with programs of these names, and what the survey finds."""

    def __init__(self, folder: Path, files: Mapping[str, str], programs: str = "python3") -> None:
        self.root = folder / "repo"
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name in programs.split():
            path = folder / "bin" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("#!/bin/sh\n")
            path.chmod(0o755)
        self.repo = CheckoutFiles(self.root, list(files), {"PATH": str(folder / "bin")})
        self.parts: list[FoundTarget]
        self.facts: list[Fact]
        self.parts, self.facts = find_targets(self.repo)

    @property
    def part(self) -> FoundTarget:
        assert len(self.parts) == 1, [part.name for part in self.parts]
        return self.parts[0]

    @property
    def names(self) -> list[str]:
        return [part.name for part in self.parts]

    def flow(self) -> str:
        """The flow file for what was found; it is proven to be sound."""
        survey = Survey(
            parts=tuple(self.parts), facts=(), additions=(), agent="", command=(), pass_env=()
        )
        text = adopt.flow_text(survey)
        flow, source = flow_file.parse(text, flows.FLOW, {flows.BUILTIN: SHIPPED.read_text()})
        prompts = {role.prompt for role in flow.agents.values()}
        flow_check.check(flow, source, prompts=prompts, backends={"command", "claude-code"})
        source.raise_errors()
        return text
