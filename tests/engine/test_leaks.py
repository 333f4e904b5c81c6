"""Secrets are taken out of all that an agent says and leaves, however its call ended."""

import base64

import msgspec
import pytest

from pipeline.backends.base import (
    AgentReply,
    AlreadyExists,
    CallEnd,
    Failed,
    Finished,
    Questions,
    QuotaUsedUp,
)
from pipeline.core.redact import Redactor
from pipeline.engine.running.leaks import remove_secrets, without_secrets
from pipeline.language.flow import FailureKind

KEY = "abcdefgh-12345678"
REDACTOR = Redactor({KEY: "MODEL_KEY"})
ENDS: list[CallEnd] = [
    Finished(),
    Failed(kind=FailureKind.AGENT, reason=f"no {KEY}"),
    QuotaUsedUp(reason=f"no {KEY}", retry_after_s=1.0),
    Questions(questions=("which?", f"is it {KEY}?")),
    AlreadyExists(where=(f"src/{KEY}.py:1",), summary=f"with {KEY}"),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_no_word_of_an_agent_carries_a_secret(end):
    reply = AgentReply(text=f"used {KEY}", agent=f"me ({KEY})", end=end, denied=(f"cat {KEY}",))
    clean = without_secrets(REDACTOR, reply)
    assert KEY not in str(msgspec.to_builtins(clean)) + repr(clean)
    assert type(clean.end) is type(end)
    assert clean.text == "used [MODEL_KEY]"


def test_a_reply_without_secrets_is_left_as_it_is():
    reply = AgentReply(text="done", end=Questions(questions=("which?",)))
    assert without_secrets(REDACTOR, reply) is reply


def test_what_an_attempt_leaves_behind_holds_no_secret(tmp_path):
    wrapped = base64.encodebytes(b"x" * 50 + KEY.encode() + b"y" * 50)
    files = {
        "stdout.log": b"before\n" + wrapped + b"after\n",
        "result.json": KEY.encode(),
        f"out/{KEY}.txt": b"",
        "home/.cache/deep": KEY.encode().hex().encode(),
        "out/plan.md": b"a plan",
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    remove_secrets(REDACTOR, tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"stdout.log", "out/plan.md"}
    log = (tmp_path / "stdout.log").read_bytes()
    assert log.startswith(b"before\n")
    assert b"[MODEL_KEY]" in log
    assert not REDACTOR.found(log)
