"""What a stage has to deliver: there, in its shape, and read for conditions."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline.files import atomic
from pipeline.files.rundir import list_outputs
from pipeline.language import schemas
from pipeline.language.flow import Schema
from pipeline.language.plan import Node
from pipeline.language.schemas import Objection, Objections, TestDelivery

SHAPED_MAX_BYTES = 256 * 1024
"""Outputs with a shape go into the run's journal."""


def fill(node: Node, out: Path, answer: str) -> list[str]:
    """Complain about missing or misshapen outputs.

    One that is missing is taken from the answer if it can be.
    """
    there = list_outputs(out)
    needed = [output for output in node.outputs.values() if not output.optional]
    missing = [output for output in needed if output.file not in there]
    if len(missing) == 1 and answer.strip():
        data = _from_answer(answer, missing[0].file)
        if data is not None:
            atomic.write_bytes(out / missing[0].file, data, durable=False)
            there = list_outputs(out)
    problems = []
    for output in node.outputs.values():
        path = out / output.file
        if output.file not in there and output.optional:
            continue
        if output.file not in there:
            problems.append(f"the output {output.file} was not delivered")
        elif (output.schema or output.fields) and path.stat().st_size > SHAPED_MAX_BYTES:
            problems.append(
                f"{output.file} has a shape and is larger than {SHAPED_MAX_BYTES // 1024} KiB"
            )
        elif complaint := schemas.why_invalid(output, path.read_bytes()):
            problems.append(f"{output.file} does not have its shape: {complaint}")
    return problems


def delivered(node: Node, out: Path) -> dict[str, str]:
    """Return the outputs that are there: name -> file; optional ones may not be."""
    there = list_outputs(out)
    return {name: output.file for name, output in node.outputs.items() if output.file in there}


def values(node: Node, out: Path) -> dict[str, Any]:
    """Read the outputs that have a shape, for conditions; the flow decides on nothing else.

    An optional one that was left out has the values of an empty one.
    """
    there = list_outputs(out)
    return {
        name: schemas.values_of(output, (out / output.file).read_bytes())
        if output.file in there
        else schemas.empty_values(output)
        for name, output in node.outputs.items()
        if output.schema or output.fields
    }


def test_delivery(node: Node, shaped: Mapping[str, Any]) -> TestDelivery:
    """Return what a stage says of its tests, from its outputs' values; nothing if it says none."""
    for name, output in node.outputs.items():
        if output.schema is Schema.TESTS and name in shaped:
            return msgspec.convert(shaped[name], TestDelivery)
    return TestDelivery()


def objections(node: Node, out: Path) -> tuple[Objection, ...]:
    """Return what a stage says of tests that it holds to be wrong; nothing if that is not read."""
    there = list_outputs(out)
    for output in node.outputs.values():
        if output.schema is Schema.OBJECTIONS and output.file in there:
            with contextlib.suppress(msgspec.DecodeError):
                return msgspec.json.decode(
                    (out / output.file).read_bytes(), type=Objections
                ).objections
    return ()


def _from_answer(text: str, name: str) -> bytes | None:
    """Take an output that an agent gave as its answer instead of as a file."""
    if not name.endswith(".json"):
        return text.encode()
    block = text.rpartition("```json")[2].partition("```")[0] if "```json" in text else text
    with contextlib.suppress(msgspec.DecodeError):
        msgspec.json.decode(block)
        return block.strip().encode()
    return None
