"""How a run's result is published: the types of a stage's key `publish`."""

from enum import StrEnum
from typing import Annotated

from pipeline.language.words import File, describe

BRANCH = "feature/{feature}-{run_id}"
"""The name of a run's branch, unless `publish.branch` sets another."""


class Style(StrEnum):
    """How the subjects of commits are worded."""

    AUTO = "auto"
    CONVENTIONAL = "conventional"
    PLAIN = "plain"


class Choice(StrEnum):
    """Whether something is done; `auto` follows what the repository does."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Publish(File, frozen=True, kw_only=True):
    """Branch, commits, push and pull request."""

    draft: Annotated[bool, describe("Open the pull request as a draft.")] = True
    style: Annotated[
        Style,
        describe(
            "How commits are worded; `auto` derives it from the newest 50 subjects of the base."
        ),
    ] = Style.AUTO
    sign: Annotated[
        Choice, describe("Whether commits are signed; `auto` follows your `commit.gpgsign`.")
    ] = Choice.AUTO
    signoff: Annotated[
        Choice,
        describe(
            "Whether commits carry `Signed-off-by`; `auto` adds it where most of the newest "
            "commits have it."
        ),
    ] = Choice.AUTO
    branch: Annotated[
        str,
        describe(
            "Name of the branch; it must contain `{run_id}` and may contain `{feature}`, both in "
            "single braces."
        ),
    ] = BRANCH
    trailers: Annotated[
        dict[str, str], describe("Additional trailers for every commit, by name.")
    ] = {}
