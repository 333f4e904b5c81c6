"""What of a repository is built, tested and checked, and what its workspaces need.

These are the types of the keys `targets` and `workspace` of a flow file.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec

from pipeline.language.words import Count, Duration, File, Glob, Name, describe

SETUP_ENV = (
    "HOME", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "PIP_*", "UV_*", "NPM_CONFIG_*", "npm_config_*",
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    "XDG_CACHE_HOME", "GOPROXY", "GOFLAGS", "GOMODCACHE", "CARGO_HOME", "RUSTUP_HOME",
)  # fmt: skip
"""The environment variables of set-up commands by default: where to download from, and caches."""


class Report(StrEnum):
    """How detailed the result of a test command is."""

    JUNIT = "junit"
    EXIT_CODE = "exit-code"


class Runner(StrEnum):
    """The test runners whose reports can be read test by test."""

    PYTEST = "pytest"
    UNITTEST = "unittest"
    VITEST = "vitest"
    JEST = "jest"
    NODE = "node"
    GO = "go"
    CARGO = "cargo"
    JUNIT = "junit"


class Service(File, frozen=True, kw_only=True):
    """A server that tests need, started once for each gate workspace and stopped with it."""

    start: Annotated[
        str,
        describe("Shell command that runs the server in the foreground, until it is ended."),
    ]
    ready: Annotated[
        str, describe("Shell command that ends with 0 once the server answers, asked again.")
    ]
    stop: Annotated[
        str, describe("Shell command that stops it, if ending `start` is not enough.")
    ] = ""


class TestCommand(File, frozen=True, kw_only=True):
    """How the tests of a target are run."""

    shorthand: ClassVar[str] = "command"
    command: Annotated[
        str, describe("Command line; run in a fresh checkout, never in an agent's folder.")
    ]
    report: Annotated[
        Report,
        describe(
            "`junit`: the result of each test; `exit-code`: only whether all passed, so that "
            "`red` and `proof` can tell less."
        ),
    ] = Report.JUNIT
    runner: Annotated[
        Runner | None,
        describe(
            "Which test runner the command starts, if the command line does not show it. With "
            "`junit` the command writes a JUnit file itself: `{report}` stands for its name."
        ),
    ] = None
    timeout_s: Annotated[Duration, describe("Longest time one test run may take.")] = msgspec.field(
        default=Duration(600.0), name="timeout"
    )
    env: Annotated[
        dict[str, str],
        describe(
            "Environment variables of tests and checks; `${PIPELINE_PORT_BASE}` stands for the "
            "first of 100 ports that this workspace may use."
        ),
    ] = {}
    pass_env: Annotated[
        tuple[str, ...],
        describe("Your own environment variables that tests may see, by name; `*` at the end."),
    ] = ()
    services: Annotated[
        tuple[Service, ...],
        describe("Servers that the tests need; one that is down means: could not look."),
    ] = ()


class Proof(File, frozen=True, kw_only=True):
    """How thorough the gate `proof` is.

    It puts single faults into the changed functions, one at a time.
    """

    min: Annotated[
        float,
        describe("Which share of the faults the tests must notice, from 0 to 1; 0 only reports."),
    ] = 0.0
    faults: Annotated[int, describe("Maximum number of faults to try; 0 for none.")] = 12
    timeout_s: Annotated[Duration, describe("Longest time for all of them together.")] = (
        msgspec.field(default=Duration(60.0), name="timeout")
    )
    memory_bytes: Annotated[
        Count,
        describe("Resident memory at which the tests with a fault are ended: `500M`, `4G`."),
    ] = msgspec.field(default=Count(4_000_000_000), name="memory")


class Target(File, frozen=True, kw_only=True):
    """A part of the repository that is built and tested on its own."""

    name: Annotated[Name, describe("Its name.")]
    source: Annotated[tuple[Glob, ...], describe("Paths of the source; `{{ source }}` elsewhere.")]
    tests: Annotated[
        tuple[Glob, ...],
        describe("Paths of the tests, never part of the source; `{{ tests }}` elsewhere."),
    ]
    test: Annotated[TestCommand, describe("How to run the tests.")]
    docs: Annotated[
        tuple[Glob, ...],
        describe("Paths of the documents that tell of the source; `{{ docs }}` elsewhere."),
    ] = (Glob("docs/**"), Glob("README*"), Glob("CHANGELOG*"))
    exclude: Annotated[
        tuple[Glob, ...], describe("Paths that are neither, although the patterns match them.")
    ] = ()
    folder: Annotated[
        str, describe("Folder that its commands run in; the repository's root if left out.")
    ] = ""
    depends: Annotated[
        tuple[Name, ...],
        describe("Targets it builds on: its tests also run when one of those has changed."),
    ] = ()
    checks: Annotated[
        tuple[str, ...],
        describe(
            "Lint, types, style: shell commands that must report nothing new about the change."
        ),
    ] = ()
    format: Annotated[
        tuple[str, ...],
        describe(
            "Shell commands that format a stage's changed files before its gates; `{files}` "
            "stands for those files."
        ),
    ] = ()
    proof: Annotated[Proof, describe("How thorough the gate `proof` is.")] = Proof()


class Clone(StrEnum):
    """How the results of set-up are copied into workspaces."""

    AUTO = "auto"
    REFLINK = "reflink"
    COPY = "copy"


class WorkspaceNeeds(File, frozen=True, kw_only=True):
    """What a workspace needs besides the files of its tree, before anybody can work in it."""

    setup: Annotated[
        tuple[str, ...],
        describe(
            "Shell commands that install what is needed, run once for each state of the files "
            "they depend on."
        ),
    ] = ()
    inputs: Annotated[
        tuple[Glob, ...],
        describe("Files that set-up depends on, besides well-known lock files and manifests."),
    ] = ()
    link: Annotated[
        tuple[Glob, ...],
        describe("Git-ignored files and folders of your checkout that workspaces get a copy of."),
    ] = ()
    sparse: Annotated[
        tuple[Glob, ...],
        describe(
            "Folders that are checked out, with the files beside and above them; all by default."
        ),
    ] = ()
    clone: Annotated[
        Clone,
        describe(
            "`reflink` shares blocks until they are written, `copy` does not; `auto` uses what "
            "the file system supports."
        ),
    ] = Clone.AUTO
    disk_bytes: Annotated[
        Count | None,
        describe(
            "Bytes that all workspaces and set-ups of the repository may take: `500M`, `20G`."
        ),
    ] = msgspec.field(default=Count(20_000_000_000), name="disk")
    timeout_s: Annotated[Duration, describe("Longest time one set-up command may take.")] = (
        msgspec.field(default=Duration(900.0), name="timeout")
    )
    pass_env: Annotated[
        tuple[str, ...],
        describe("Environment variables that set-up commands may see, by name; `*` at the end."),
    ] = SETUP_ENV
