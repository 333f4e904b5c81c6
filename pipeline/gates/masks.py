"""Source text with the insides of strings and comments blanked, so that brackets can be counted.

A mask is as long as its text. Quotes stay, comments go altogether. It is no parser: what it does
not know it leaves as it is, in both versions of a text alike.
"""

import re

_GO = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|`[^`]*`|'(?:\\.[^'\n]*|[^'\\\n])'", re.DOTALL
)
_RUST = re.compile(
    r"//[^\n]*|/\*.*?\*/|(?<!\w)b?r(?P<marks>#*)\".*?\"(?P=marks)|\"(?:\\.|[^\"\\])*\""
    r"|'(?:\\[^'\n]+|[^'\\\n])'",
    re.DOTALL,
)
_JAVASCRIPT = re.compile(
    r"(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<regex>/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/\w*)"
    r"|(?P<word>[\w$]+)|(?P<space>\s+)|(?P<other>.)",
    re.DOTALL,
)
_BEFORE_REGEX = {"", *"(,=:[!&|?{;+-*%~^>", "return", "typeof", "case", "await", "yield"}
_NOT_NEWLINE = re.compile(r"[^\n]")


def mask_go(text: str) -> str:
    """Return the mask of Go."""
    return _GO.sub(lambda match: _blank(match[0]), text)


def mask_rust(text: str) -> str:
    """Return the mask of Rust; a lifetime is no character."""
    return _RUST.sub(lambda match: _blank(match[0]), text)


def mask_javascript(text: str) -> str:
    """Return the mask of JavaScript or TypeScript: templates count as strings, whole."""
    parts: list[str] = []
    at, before = 0, ""
    while match := _JAVASCRIPT.match(text, at):
        kind, end = match.lastgroup, match.end()
        if kind == "regex" and before not in _BEFORE_REGEX:
            kind, end = "other", at + 1
        if text[at] == "`":
            kind, end = "string", template_end(text, at + 1)
        token = text[at:end]
        parts.append(_blank(token) if kind in {"comment", "string", "regex"} else token)
        if kind not in {"comment", "space"}:
            before = token
        at = end
    return "".join(parts)


def template_end(text: str, at: int) -> int:
    """Return where a template ends whose first backtick stands before `at`."""
    while at < len(text):
        if text[at] == "`":
            return at + 1
        if text.startswith("${", at):
            at = _expression_end(text, at + 2)
        else:
            at += 2 if text[at] == "\\" else 1
    return len(text)


def _expression_end(text: str, at: int) -> int:
    depth = 1
    while depth and (match := _JAVASCRIPT.match(text, at)):
        if text[at] == "`":
            at = template_end(text, at + 1)
        elif match.lastgroup == "regex":
            at += 1
        else:
            depth += {"{": 1, "}": -1}.get(match[0], 0)
            at = match.end()
    return at


def closing(mask: str, opening: int) -> int:
    """Return the place behind the bracket that closes the one at `opening`, or the text's end."""
    depth = 0
    for at in range(opening, len(mask)):
        depth += (mask[at] in "([{") - (mask[at] in ")]}")
        if not depth:
            return at + 1
    return len(mask)


def _blank(token: str) -> str:
    """Return spaces for a token; the quotes of a string stay."""
    if token.startswith(("//", "/*")) or len(token) < 2:
        return _NOT_NEWLINE.sub(" ", token)
    return token[0] + _NOT_NEWLINE.sub(" ", token[1:-1]) + token[-1]
