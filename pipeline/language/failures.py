"""What each kind of failure means, for the reference."""

from pipeline.language.flow import FailureKind

FAILURE_WORDS = {
    FailureKind.TRANSIENT: "it may work later: exit status 75",
    FailureKind.TIMEOUT: "it ran longer than `timeout`, or was silent longer than `idle_timeout`",
    FailureKind.PROTOCOL: "a declared output is missing, or does not have its declared shape",
    FailureKind.AGENT: "the command or agent reports failure: a non-zero exit status, "
    "or `status: failed`",
    FailureKind.GATE: "a gate did not pass",
    FailureKind.VIOLATION: "it changed a file outside its paths, or wrote a key into a file; "
    "that part is undone, and the whole change is kept aside",
    FailureKind.NO_CHANGE: "an agent that holds a lock reports that it is done, "
    "but has changed nothing",
    FailureKind.MISSING: "something it needs is missing: a program, or a value for its `env`",
    FailureKind.QUOTA: "the quota is used up; the stage waits until the quota is reset, "
    "which costs no retry",
}
"""What each kind of failure means."""
