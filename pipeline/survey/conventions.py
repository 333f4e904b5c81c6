"""A repository's conventions: its commit style, forge, hooks, and instructions for agents."""

import re
from collections.abc import Iterator, Sequence

from pipeline.survey.checkout_files import CheckoutFiles, Fact

_CONVENTIONAL = re.compile(
    r"^(?:feat|fix|docs|test|tests|chore|refactor|perf|build|ci|style|revert)(?:\([^)]+\))?!?: "
)
_BOT = re.compile(r"\[bot\]|\bbot\b|dependabot|renovate|github-actions|pre-commit", re.IGNORECASE)
_INSTRUCTIONS = (
    "AGENTS.md",
    "CLAUDE.md",
    "GEMINI.md",
    ".github/copilot-instructions.md",
    ".cursorrules",
)
_FORGES = (
    ("github.", "GitHub"),
    ("gitlab", "GitLab"),
    ("bitbucket", "Bitbucket"),
    ("codeberg", "Forgejo"),
)

AGENTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "claude",
        ("claude",),
        ("HOME", "USER", "ANTHROPIC_*", "CLAUDE_CODE_*"),
    ),
    (
        "codex",
        ("codex", "exec", "--sandbox", "workspace-write", "-"),
        ("HOME", "USER", "OPENAI_API_KEY"),
    ),
)
"""Agents whose command line is known: program, command, variables (`docs/how-to/agents.md`)."""


def of_a_person(message: str) -> str:
    """Return a commit's message, given with its author's name in the first line.

    Empty for that of a bot: it says nothing about how the people here write.
    """
    author, _, text = message.partition("\n")
    return "" if _BOT.search(author) else text.strip("\n")


class History:
    """The messages of the newest commits of a branch."""

    def __init__(self, messages: Sequence[str], *, signs: bool) -> None:
        """`messages` are whole commit messages, newest first.

        `signs` is the person's `commit.gpgsign`.
        """
        self.subjects = [message.partition("\n")[0] for message in messages if message.strip()]
        self.signed_off = sum("\nSigned-off-by:" in message for message in messages)
        self.signs = signs

    def facts(self) -> Iterator[Fact]:
        """Yield the conventions of the commits."""
        count = len(self.subjects)
        conventional = sum(bool(_CONVENTIONAL.match(subject)) for subject in self.subjects)
        style = (
            "conventional (feat: ..., fix: ...)" if conventional * 2 > count else "plain subjects"
        )
        if count:
            yield Fact(
                what="commit style",
                value=style,
                why=f"{conventional} of {count} subjects are conventional",
            )
            signed = "yes" if self.signed_off * 2 > count else "no"
            yield Fact(
                what="sign-off",
                value=signed,
                why=f"{self.signed_off} of {count} commits have Signed-off-by",
            )
        yield Fact(
            what="signature",
            value="yes" if self.signs else "no",
            why="your git setting commit.gpgsign",
        )


def facts(repo: CheckoutFiles, remote_url: str, branch: str) -> Iterator[Fact]:
    """Yield what else was found: base branch, forge, instructions, hooks."""
    why = (
        "the remote's HEAD, or else your current branch"
        if branch
        else "there is no commit yet, or HEAD is on no branch"
    )
    yield Fact(what="base branch", value=branch or "none", why=why)
    forge = next((name for word, name in _FORGES if word in remote_url), "")
    why = f"the remote is {_without_password(remote_url)}" if remote_url else "there is no remote"
    yield Fact(what="forge", value=forge or ("another remote" if remote_url else "none"), why=why)
    instructions = [path for path in _INSTRUCTIONS if path in repo.files]
    if instructions:
        yield Fact(
            what="instructions for agents",
            value=", ".join(instructions),
            why="agents see them in their workspace",
        )
    if ".pre-commit-config.yaml" in repo.files:
        yield Fact(
            what="pre-commit",
            value="yes",
            why="its known hooks became checks; add the others yourself",
        )
    if owners := [path for path in repo.files if path.rpartition("/")[2] == "CODEOWNERS"]:
        yield Fact(what="code owners", value=owners[0], why="mentioned in every pull request")


def agent(repo: CheckoutFiles) -> tuple[str, tuple[str, ...], tuple[str, ...]] | None:
    """Return the first known agent that is installed: program, command, variables."""
    return next((one for one in AGENTS if repo.has_program(one[0])), None)


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)
