"""Secrets are taken out of all that an agent says in its result file, however its call ended."""

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
from pipeline.engine.running.leaks import without_secrets
from pipeline.language.flow import FailureKind

KEY = "abcdefgh-12345678"
ENDS: list[CallEnd] = [
    Finished(),
    Failed(kind=FailureKind.AGENT, reason=f"no {KEY}"),
    QuotaUsedUp(reason=f"no {KEY}", retry_after_s=1.0),
    Questions(questions=("which?", f"is it {KEY}?")),
    AlreadyExists(where=(f"src/{KEY}.py:1",), summary=f"with {KEY}"),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_no_word_of_an_agent_carries_a_secret(tmp_path, end):
    result = tmp_path / "result.json"
    result.write_text(f"it was {KEY}")
    reply = AgentReply(text=f"used {KEY}", agent=f"me ({KEY})", end=end)
    clean = without_secrets({KEY: "MODEL_KEY"}, reply, result)
    assert KEY not in str(msgspec.to_builtins(clean)) + repr(clean)
    assert type(clean.end) is type(end)
    assert not result.exists()


def test_a_result_without_secrets_is_left_as_it_is(tmp_path):
    result = tmp_path / "result.json"
    result.write_text("nothing to hide")
    reply = AgentReply(text="done", end=Questions(questions=("which?",)))
    assert without_secrets({KEY: "MODEL_KEY"}, reply, result) is reply
    assert result.exists()
