"""Every error code has an example of wrong and right that is exactly that; the schema agrees with
the reader.
"""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipeline.errors import UsageProblem
from pipeline.language.codes import CODES, Code, find, looks_like_one
from pipeline.language.flow_check import check
from pipeline.language.flow_file import parse
from pipeline.language.flow_schema import flow_schema
from pipeline.language.flow_yaml import Tree, read
from tests.language.test_flow_file import SHIPPED, errors_of, flow

SCHEMA = flow_schema()


PROMPTS = [path.name for path in Path("agent_prompts").glob("*.j2")]


def codes_of(example: str) -> set[str]:
    """Read and check an example; return the codes of what is wrong with it."""
    text = (
        example
        if example.startswith("version:")
        else flow(example).replace("developer.md", "developer.md.j2")
    )
    try:
        loaded, source = parse(text, "flow.yaml", {"builtin/idea_to_feature@1": SHIPPED})
    except UsageProblem as problem:
        return set(re.findall(r"error\[(F\d+)\]", problem.what))
    check(loaded, source, prompts=PROMPTS, backends=["command", "claude-code"])
    return {diagnostic.code for diagnostic in source.diagnostics}


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.code)
def test_the_wrong_example_has_this_code_and_the_right_one_is_right(code: Code) -> None:
    assert codes_of(code.wrong) == {code.code}
    assert codes_of(code.right) == set()


def test_every_code_that_is_used_is_explained_and_no_other() -> None:
    sources = "".join(
        path.read_text() for path in Path("pipeline").rglob("*.py") if path.name != "codes.py"
    )
    assert set(re.findall(r"\"(F\d{3})\"", sources)) == set(CODES)


def test_codes_are_found_by_any_case() -> None:
    assert find("f203") is CODES["F203"]
    assert find("20260102-030405-0a1b2c3d") is None
    assert looks_like_one("F999")
    assert not looks_like_one("face1")


def plain(tree: Tree) -> Any:
    """Make plain values of a marked tree: an editor reads YAML 1.2 too, where `on` is a word."""
    if isinstance(tree.value, dict):
        return {key: plain(entry.tree) for key, entry in tree.value.items()}
    return [plain(one) for one in tree.value] if isinstance(tree.value, list) else tree.value


def valid(text: str) -> bool:
    tree, errors = read(text, "flow.yaml")
    assert tree is not None
    data = plain(tree)
    return not errors and jsonschema.Draft202012Validator(SCHEMA).is_valid(data)


def test_the_schema_is_a_schema_and_takes_the_shipped_flow() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert valid(SHIPPED)


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.code)
def test_the_schema_takes_what_is_right(code: Code) -> None:
    assert valid(code.right if code.right.startswith("version:") else flow(code.right))


@pytest.mark.parametrize(
    "stages",
    [
        "a: {run: x, gate: [green]}",
        "a: {run: x, timeout: 30}",
        "a: {run: x, gates: [gren]}",
        "a: {run: 7}",
        "a: {run: x, needs: {b: c}}",
        "a: {run: x, retry: {max: two}}",
        "1a: {run: x}",
        "a: {loop: {max: 3}, stages: []}",
        "a: {agent: developer, limits: {tokens: many}}",
        "a: {approval: {asks: what}}",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(stages: str) -> None:
    text = flow(stages)
    assert errors_of(text)
    assert not valid(text)


@pytest.mark.parametrize(
    "stages",
    [
        "a: {run: x, needs: [], writes: doc/**, env: {A: b}, limits: ~}",
        "a: {run: x, outputs: {one: one.md, two: {file: two.json, fields: {size: [s, l], n: number}}}}",
        "a: {foreach: b.c.d, stages: {e: {run: x}}}",
        "a: {approval: 'Well?'}",
        "a: {agent: developer, limits: {usd: 2, tokens: 5M}}",
    ],
)
def test_the_schema_takes_short_forms(stages: str) -> None:
    assert valid(flow(stages))
