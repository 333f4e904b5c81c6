"""What of a repository is built, tested and checked, and what a workspace of it needs.

`targets` and `workspace`.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pipeline.language.words import Count, Duration, File, Glob, Name, says

SETUP_ENV = (
    "HOME", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "PIP_*", "UV_*", "NPM_CONFIG_*", "npm_config_*", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    "XDG_CACHE_HOME", "GOPROXY", "GOFLAGS", "GOMODCACHE", "CARGO_HOME", "RUSTUP_HOME",
)  # fmt: skip
"""What set-up commands see of the environment unless the flow says otherwise.

Where to fetch from, and caches.
"""


class Report(StrEnum):
    """How much a test command tells of its result."""

    JUNIT = "junit"
    EXIT_CODE = "exit-code"


class Runner(StrEnum):
    """The programs that run tests, as far as their reports can be read test by test."""

    PYTEST = "pytest"
    VITEST = "vitest"
    JEST = "jest"
    NODE = "node"
    GO = "go"
    CARGO = "cargo"
    JUNIT = "junit"


class TestCommand(File, frozen=True, kw_only=True):
    """How the tests of a target are run."""

    shorthand: ClassVar[str] = "command"
    command: Annotated[
        str, says("Command line; run in a fresh checkout, never in an agent's folder.")
    ]
    report: Annotated[
        Report,
        says(
            "`junit`: test by test; `exit-code`: only whether all passed, so that `red` and `proof` say less."
        ),
    ] = Report.JUNIT
    runner: Annotated[
        Runner | None,
        says(
            "Which test runner the command starts, where its words do not say so. With `junit` the command writes a "
            "JUnit file itself: `{report}` stands for its name."
        ),
    ] = None
    timeout: Annotated[Duration, says("Longest time one test run may take.")] = Duration(600.0)


class Proof(File, frozen=True, kw_only=True):
    """How hard the gate `proof` tries.

    Single faults are put into the changed functions, one at a time.
    """

    min: Annotated[
        float, says("Which part of them the tests must notice, from 0 to 1; 0 only reports.")
    ] = 0.0
    faults: Annotated[int, says("Most faults that are tried; 0 for none.")] = 12
    timeout: Annotated[Duration, says("Longest time for all of them together.")] = Duration(60.0)


class Target(File, frozen=True, kw_only=True):
    """A part of the repository that is built and tested on its own."""

    name: Annotated[Name, says("What to call it.")]
    source: Annotated[tuple[Glob, ...], says("Paths of the source; `{{ source }}` elsewhere.")]
    tests: Annotated[
        tuple[Glob, ...],
        says("Paths of the tests, never part of the source; `{{ tests }}` elsewhere."),
    ]
    test: Annotated[TestCommand, says("How to run the tests.")]
    exclude: Annotated[
        tuple[Glob, ...], says("Paths that are neither, although the patterns match them.")
    ] = ()
    folder: Annotated[
        str, says("Folder that its commands are run in; the repository's root if left out.")
    ] = ""
    depends: Annotated[
        tuple[Name, ...],
        says("Targets it builds on: its tests are run, too, when one of those has changed."),
    ] = ()
    checks: Annotated[
        tuple[str, ...],
        says("Lint, types, style: shell commands that must say nothing new about the change."),
    ] = ()
    format: Annotated[
        tuple[str, ...],
        says(
            "Shell commands that bring a stage's changed files into the repository's style before its gates; `{files}` "
            "stands for those files."
        ),
    ] = ()
    proof: Annotated[Proof, says("How hard the gate `proof` tries.")] = Proof()


class Clone(StrEnum):
    """How what set-up made is copied into workspaces."""

    AUTO = "auto"
    REFLINK = "reflink"
    COPY = "copy"


class Workspace(File, frozen=True, kw_only=True):
    """What a workspace needs besides the files of its tree, before anybody can work in it."""

    setup: Annotated[
        tuple[str, ...],
        says(
            "Shell commands that install what is needed, run once for each state of the files they depend on."
        ),
    ] = ()
    inputs: Annotated[
        tuple[Glob, ...],
        says("Files that set-up depends on, besides lock files and manifests known by name."),
    ] = ()
    link: Annotated[
        tuple[Glob, ...],
        says("Git-ignored files and folders of your checkout that workspaces get a copy of."),
    ] = ()
    sparse: Annotated[
        tuple[Glob, ...],
        says("Folders that are checked out, with the files beside and above them; all by default."),
    ] = ()
    clone: Annotated[
        Clone,
        says(
            "`reflink` shares blocks until they are written, `copy` does not; `auto` takes what is possible."
        ),
    ] = Clone.AUTO
    disk: Annotated[
        Count | None,
        says("Bytes that all workspaces and set-ups of the repository may take: `500M`, `20G`."),
    ] = Count(20_000_000_000)
    timeout: Annotated[Duration, says("Longest time one set-up command may take.")] = Duration(
        900.0
    )
    pass_env: Annotated[
        tuple[str, ...],
        says("Environment variables that set-up commands may see, by name; `*` at the end."),
    ] = SETUP_ENV
