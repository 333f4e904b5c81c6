"""The shapes of common tokens: what a forge, a cloud or a model's maker hands out, by its looks.

For keys that nobody told us of. Values made up for tests and documentation have the shape too, and
are left out as far as they are obvious.
"""

import re
from collections.abc import Iterator

import msgspec

_SHAPES = {
    "a GitHub token": r"(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})",
    "an Anthropic key": r"sk-ant-[A-Za-z0-9_-]{20,}",
    "an OpenAI key": r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{40,}",
    "an AWS access key": r"(?:AKIA|ASIA)[A-Z0-9]{16}",
    "a Slack token": r"xox[baprse]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}",
    "a Slack webhook": r"https://hooks\.slack\.com/services/T[\w/]{20,}",
    "a GitLab token": r"gl(?:pat|dt|rt|ptt|soat)-[A-Za-z0-9_-]{20,}",
    "an npm token": r"npm_[A-Za-z0-9]{36}",
    "a PyPI token": r"pypi-AgE[A-Za-z0-9_-]{16,}",
    "a Google API key": r"AIza[A-Za-z0-9_-]{35}",
    "a Google access token": r"ya29\.[A-Za-z0-9_-]{20,}",
    "a Hugging Face token": r"hf_[A-Za-z0-9]{30,}",
    "a SendGrid key": r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    "a DigitalOcean token": r"do[opr]_v1_[a-f0-9]{40,}",
    "a Stripe key": r"[sr]k_live_[A-Za-z0-9]{20,}",
}
_PRIVATE_KEY = "a private key"
_TOKEN = re.compile(
    "|".join(f"(?P<s{number}>{shape})" for number, shape in enumerate(_SHAPES.values()))
)
_NAMES = tuple(_SHAPES)
_BLOCK = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_CUES = (
    "gh", "github_pat_", "sk", "AKIA", "ASIA", "xox", "xapp", "hooks.", "gl", "npm_", "pypi-",
    "AIza", "ya29.", "hf_", "SG.", "_v1_", "rk_live", "-----BEGIN",
)  # fmt: skip
_FAKE_WORDS = re.compile(
    r"EXAMPLE|xxxxxx|FAKE|DUMMY|PLACEHOLDER|000000|123456789|YOUR", re.IGNORECASE
)
_FAKE_KINDS_MAX = 4
"""A made-up value often has few different characters behind its prefix: `ghp_aaaa...`."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """Something with the shape of a token: which, and from where to where in the text."""

    shape: str
    start: int
    end: int


def tokens_in(text: str) -> Iterator[Token]:
    """Yield what looks like a token in a text, without what is obviously made up."""
    if not any(cue in text for cue in _CUES):
        return
    for match in _TOKEN.finditer(text):
        before = text[match.start() - 1 : match.start()]
        is_lone = not (before.isalnum() or before == "_")
        if is_lone and not _is_made_up(match[0]):
            shape = _NAMES[int((match.lastgroup or "s0")[1:])]
            yield Token(shape=shape, start=match.start(), end=match.end())
    for match in _BLOCK.finditer(text):
        yield Token(shape=_PRIVATE_KEY, start=match.start(), end=match.end())


def masked(text: str) -> str:
    """Return a text with each token replaced by the name of its shape."""
    for token in sorted(tokens_in(text), key=lambda token: token.start, reverse=True):
        text = f"{text[: token.start]}[{token.shape}]{text[token.end :]}"
    return text


def _is_made_up(value: str) -> bool:
    if _FAKE_WORDS.search(value):
        return True
    secret = re.split(r"[_.-]", value)[-1]
    return len(set(secret)) <= _FAKE_KINDS_MAX
