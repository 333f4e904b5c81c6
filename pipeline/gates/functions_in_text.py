"""Tests in the text of JavaScript, Go and Rust: found by their usual forms, ended by brackets."""

import re
from collections.abc import Iterator

from pipeline.gates.masks import closing, mask_go, mask_javascript, mask_rust, template_end
from pipeline.gates.reading import IsReported, TestFunction

_GO = re.compile(
    r"^func (?P<receiver>\([^)]*\)\s*)?(?P<name>(?:Test|Fuzz|Example)(?![a-z])\w*)\(", re.MULTILINE
)
_GO_OUTPUT = re.compile(r"//\s*(?:unordered )?output:", re.IGNORECASE)
_GO_ASSERTS = re.compile(r"\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\(|\b(?:require|assert)\.")

_RUST_ATTRIBUTE = re.compile(r"#\[")
_RUST_TEST = re.compile(r"(?:\w+::)*(?P<last>\w*test\w*)\s*(?:\(|$|\])")
_RUST_FN = re.compile(
    r"\s*(?:pub(?:\([^)]*\))?\s+)?(?P<kind>(?:(?:async|unsafe|const)\s+)*)fn\s+(?P<name>\w+)"
)
_RUST_PARAMETERS = re.compile(r"(?:\w+::)*(?:case|test_case|values)\b")
_RUST_ASSERTS = re.compile(r"assert\w*!|panic!|unreachable!|\.unwrap|\.expect|\?;")
_RUST_CONSTANT = re.compile(r"assert\w*!\(\s*(?:true|false|\d+\s*,\s*\d+)\s*\)")

_JS_NAME = re.compile(r"(?<![\w.$])[A-Za-z_$][\w$]*")
_JS_WORD = re.compile(r"\s*\.\s*(\w+)")
_JS_TYPES = re.compile(r"\s*<[^()=;]*>(?=\s*[(`])")
_JS_TITLE = re.compile(
    r"\(\s*(?P<quote>['\"`])(?P<name>(?:\\.|(?!(?P=quote)).)+)(?P=quote)(?=\s*[,)])", re.DOTALL
)
_JS_TESTS, _JS_GROUPS = {"it", "test"}, {"describe", "suite", "context"}
_JS_TABLES, _JS_NOT_RUN = {"each", "for"}, {"skip", "todo", "skipIf", "runIf", "if"}
_JS_ASSERTS = re.compile(
    r"\bexpect\w*\s*[(.]|\bassert|\bshould\b|\bthrow\b|\bt\.(?:is|ok|not|like|deep|equal|throws)"
)
_JS_CONSTANT = re.compile(
    r"\b(?:expect|assert(?:\.\w+)?)\(\s*(?:true|null|undefined|\d+|''|\"\")\s*\)"
)


def go_functions(text: str, _: IsReported) -> Iterator[TestFunction]:
    """Yield the tests of a Go file; `TestMain` is none, nor an example without its output."""
    mask = mask_go(text)
    for match in _GO.finditer(mask):
        body = (match["receiver"] or "") + _block(text, mask, match.end())
        output = bool(_GO_OUTPUT.search(body))
        if match["name"] == "TestMain" or (match["name"].startswith("Example") and not output):
            continue
        yield TestFunction(
            name=match["name"],
            body=body,
            asserts=output or bool(_GO_ASSERTS.search(body)),
            is_run=not match["receiver"],
        )


def rust_functions(text: str, _: IsReported) -> Iterator[TestFunction]:
    """Yield the functions of a Rust file that have an attribute of a test."""
    mask, at = mask_rust(text), 0
    while match := _RUST_ATTRIBUTE.search(mask, at):
        attributes, at = _attributes(text, mask, match.start())
        tests = [found["last"] for one in attributes if (found := _RUST_TEST.match(one))]
        function = _RUST_FN.match(mask, at)
        if function is None or not tests:
            continue
        body = function["kind"].strip() + _block(text, mask, function.end())
        marks = "".join(one for one in attributes if not _RUST_PARAMETERS.match(one))
        yield TestFunction(
            name=function["name"],
            body=marks + body,
            asserts=bool(_RUST_ASSERTS.search(_RUST_CONSTANT.sub("", body))),
            is_run="test" in tests and not any(one.startswith("cfg") for one in attributes),
        )


def _attributes(text: str, mask: str, at: int) -> tuple[list[str], int]:
    """Return the attributes that stand at a place one after the other, and where they end."""
    found = []
    while match := re.compile(r"\s*#\[").match(mask, at):
        end = closing(mask, match.end() - 1)
        found.append(text[match.end() : end - 1].strip())
        at = end
    return found, at


def _block(text: str, mask: str, start: int) -> str:
    """Return the text from `start` to the brace that closes the first one there."""
    opening = mask.find("{", start)
    return text[start : closing(mask, opening)] if opening >= 0 else text[start:]


def javascript_functions(text: str, is_reported: IsReported) -> Iterator[TestFunction]:
    """Yield the calls of `test` and `it`, and of other names with a title that was reported.

    The groups that a test stands in are part of its body: titles need not differ between groups.
    """
    mask = mask_javascript(text)
    groups: list[tuple[int, str]] = []
    for match in _JS_NAME.finditer(mask):
        call = _call(text, mask, match.end())
        if call is None:
            continue
        words, opening, title, behind = call
        is_test = match[0] in _JS_TESTS or is_reported(title)
        if not is_test and match[0] not in _JS_GROUPS:
            continue
        end = closing(mask, opening)
        groups = [(until, name) for until, name in groups if until > match.start()]
        if match[0] in _JS_GROUPS:
            groups.append((end, title))
        else:
            inside = text[behind:end]
            marks = [word for word in words if word not in _JS_TABLES]
            yield TestFunction(
                name=title,
                body="\n".join((*(name for _, name in groups), *marks, inside)),
                asserts=bool(_JS_ASSERTS.search(_JS_CONSTANT.sub("", inside))),
                is_run=match[0] in _JS_TESTS and not _JS_NOT_RUN.intersection(words),
            )


def _call(text: str, mask: str, at: int) -> tuple[list[str], int, str, int] | None:
    """Return what follows a name that is called with a title.

    That is: the words between, where the call opens, the title, and the place behind it.

    `.only`, `.each(table)`, `.skipIf(condition)` and a table as a template may stand between.
    """
    words: list[str] = []
    while at < len(mask):
        if word := _JS_WORD.match(mask, at):
            words.append(word[1])
            at = word.end()
            continue
        if types := _JS_TYPES.match(mask, at):
            at = types.end()
        while at < len(mask) and mask[at].isspace():
            at += 1
        if mask[at : at + 1] == "(" and (title := _JS_TITLE.match(text, at)):
            return words, at, title["name"], title.end()
        if not words or mask[at : at + 1] not in {"(", "`"}:
            return None
        at = closing(mask, at) if mask[at] == "(" else template_end(text, at + 1)
    return None
