"""Make the reference pages from the code: `./run reference`. A test holds that they are current."""

import json
import sys
import types
import typing
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
import msgspec

from pipeline import errors
from pipeline.core.settings import STAGE_VARIABLES, VARIABLES
from pipeline.files import failpoints
from pipeline.language import flow, target, words
from pipeline.language.codes import CODES
from pipeline.language.flow_schema import flow_schema
from pipeline.language.flow_stages import ALLOWED
from pipeline.language.schemas import example_of
from pipeline.prompts.brief import GATE_WORDS, NAMES

REFERENCE = Path(__file__).parent / "reference"
_SHOWN = (
    flow.Flow, target.Target, target.TestCommand, target.Proof, flow.Defaults, flow.Retry, flow.StageLimits, flow.Limits, flow.Role,
    flow.Lock, flow.Workflow, flow.Input, flow.Stage, flow.Loop, flow.Foreach, flow.Approval, flow.Publish, flow.Output,
    target.WorkspaceNeeds, flow.Trigger,
)  # fmt: skip
_ENUMS = (
    flow.FailureKind, flow.GateName, flow.Schema, flow.FieldType, flow.May, flow.LockScope, target.Report, target.Runner, flow.Style,
    flow.Choice, target.Clone,
)  # fmt: skip
_NOTE = "<!-- Made by docs/build.py (./run reference); do not edit. -->\n\n"


def pages() -> dict[str, str]:
    """Return all reference pages by file name."""
    return {
        "flow.md": _flow(),
        "flow-errors.md": _flow_errors(),
        "flow.schema.json": json.dumps(flow_schema(), indent=1) + "\n",
        "settings.md": _settings(),
        "exit-codes.md": _exit_codes(),
        "commands.md": _commands(),
    }


def _flow() -> str:
    out = [
        "# The flow file", "", _NOTE.strip(), "",
        "`agents/flow.yaml` is read as YAML 1.2 core: `on`, `no` and `12:30` are text. Anchors, aliases, tags and merge keys",
        "do not exist; unknown and duplicate keys are errors, all shown at once with line and mend (`pipeline flow check`).",
        "", "Path patterns: `*` is anything but `/`, `?` one such character, `**` as a whole segment any number of segments.",
        "`{{ source }}` and `{{ tests }}` stand for the paths of all targets, `{{ NAME.source }}` for those of one. Source never",
        "includes tests. Times are `250ms`, `90s`, `30m`, `1.5h`, `7d`; counts `5000`, `200k`, `5M`. Where a list is wanted, one",
        "value will do, and `docs/` is short for `docs/**`. How to use it all: [Write your own workflow](../how-to/write-a-workflow.md).",
        "",
        "What a stage of each kind can have besides the key of its kind:", "",
        *_kinds(), "",
    ]  # fmt: skip
    for kind in _SHOWN:
        out += [
            f"## {kind.__name__}",
            "",
            (kind.__doc__ or "").strip(),
            "",
            "| key | value | default | meaning |",
        ]
        out += ["| --- | --- | --- | --- |"]
        out += [_field(kind, field) for field in msgspec.structs.fields(kind)]
        out.append("")
        if kind.shorthand:
            out += [f"A bare value stands for `{kind.shorthand}`.", ""]
    out += ["## What each gate checks", ""]
    out += [f"- {words}" for words in GATE_WORDS.values()]
    out += [
        "",
        "Gates run in the order they are listed, on exactly the files the stage leaves behind; the first that does",
        "not pass fails the stage. In a loop that the stage decides, the next round is told why.",
        "",
    ]
    out += ["## What each kind of failure means", "", "| kind | meaning |", "| --- | --- |"]
    out += [f"| `{kind.value}` | {words} |" for kind, words in flow.FAILURE_WORDS.items()]
    out += ["", "## Shapes of outputs", ""]
    for shape in flow.Schema:
        out += [
            f"`schema: {shape.value}`",
            "",
            "```json",
            example_of(flow.Output(file="x.json", schema=shape)),
            "```",
            "",
        ]
    out += [
        "## Names of stages",
        "",
        "A stage's id is its name. Stages of a called workflow are `CALLING_STAGE:STAGE`, those of a",
        "foreach `FOREACH:KEY:STAGE` (a key is made into lower-case letters, digits and `-`; without `key` items are",
        "counted from 1), those of a workflow that looks for causes `WORKFLOW:STAGE`.",
        "",
    ]
    out += ["## Variables of a stage", "", "| variable | meaning |", "| --- | --- |"]
    out += [f"| `{name}` | {words} |" for name, words in STAGE_VARIABLES.items()]
    out += [
        "",
        "A `run` stage also gets `PATH`, `VIRTUAL_ENV`, `LANG` and a private `HOME` and `TMPDIR`; an agent besides these what",
        "`pass_env` of its role names.",
        "",
    ]
    out += [
        "## Variables of a prompt",
        "",
        "A prompt in `agent_prompts/` is a Jinja2 template and can name:",
        "",
    ]
    out += [", ".join(f"`{name}`" for name in NAMES) + ".", ""]
    for enum in _ENUMS:
        out += [f"## {enum.__name__}", "", (enum.__doc__ or "").strip(), ""]
        out += [", ".join(f"`{word.value}`" for word in enum), ""]
    return "\n".join(out)


def _kinds() -> list[str]:
    rows = ["| kind | keys |", "| --- | --- |"]
    for kind, keys in ALLOWED.items():
        rows.append(f"| `{kind.value}` | {', '.join(f'`{key}`' for key in sorted(keys))} |")
    return rows


def _flow_errors() -> str:
    out = [
        "# Error codes of a flow",
        "",
        _NOTE.strip(),
        "",
        "`pipeline explain CODE` prints the same.",
        "",
    ]
    for code in CODES.values():
        out += [
            f"## {code.code}: {code.title}",
            "",
            code.meaning,
            "",
            "Wrong:",
            "",
            "```yaml",
            code.wrong,
            "```",
            "",
        ]
        out += ["Right:", "", "```yaml", code.right, "```", ""]
    return "\n".join(out)


def _field(kind: type[msgspec.Struct], field: msgspec.structs.FieldInfo) -> str:
    hint = typing.get_type_hints(kind, include_extras=True)[field.name]
    meta = next(
        (part for part in getattr(hint, "__metadata__", ()) if isinstance(part, msgspec.Meta)), None
    )
    meaning = meta.description if meta is not None and meta.description else ""
    default = "required" if field.required else _default(field)
    return f"| `{field.encode_name}` | {_type(hint)} | {default} | {meaning} |"


def _default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default if field.default is not msgspec.NODEFAULT else None
    if field.encode_name in {"timeout", "idle_timeout"} and isinstance(value, float):
        return f"`{value:g}s`"
    if isinstance(value, msgspec.Struct):
        return "see there"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return (
        ""
        if value in (None, "", {})
        else f"`{str(value).lower() if isinstance(value, bool) else value}`"
    )


def _type(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hasattr(hint, "__metadata__"):
        return _type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _type(next(argument for argument in arguments if argument is not type(None)))
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of names to {_type(arguments[1])}"
    if isinstance(hint, type) and issubclass(hint, StrEnum | msgspec.Struct):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    names = {
        words.Duration: "time",
        words.Glob: "path pattern",
        words.Name: "name",
        words.Count: "count",
        words.Template: "text with `{{ }}`",
        words.Expression: "condition",
        float: "number",
        str: "text",
        int: "number",
        bool: "true or false",
    }
    return names.get(hint, str(hint))


def _settings() -> str:
    rows = [f"| `{name}` | {says} |" for name, (_, says) in VARIABLES.items()]
    head = [
        "# Settings",
        "",
        _NOTE.strip(),
        "",
        "Environment variables; a flag of a command goes before them.",
        "",
    ]
    more = [
        "",
        "A repository can name its own state folder: `git config idea-to-pr.stateDir DIR`.",
        "",
    ]
    points = [
        "Failpoints, for `PIPELINE_FAILPOINT`: "
        + ", ".join(f"`{name}`" for name in failpoints.NAMES)
        + ".",
        "",
    ]
    return "\n".join([*head, "| variable | meaning |", "| --- | --- |", *rows, *more, *points])


def _exit_codes() -> str:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.Problem)
    ]
    named = {
        kind.exit_code: (kind.__doc__ or "").strip() for kind in kinds if kind is not errors.Problem
    }
    rows = ["| 0 | Done. |", *(f"| {code} | {says} |" for code, says in sorted(named.items()))]
    return "\n".join(
        ["# Exit codes", "", _NOTE.strip(), "", "| code | meaning |", "| --- | --- |", *rows, ""]
    )


def _commands() -> str:
    from pipeline.cli import main
    from pipeline.cli.invoke import invoke
    from pipeline.cli.trigger import trigger

    out = ["# Commands", "", _NOTE.strip(), ""]
    commands: list[tuple[str, click.Command]] = [
        ("trigger_workflow", trigger),
        ("invoke_agent", invoke),
    ]
    for name in main.COMMANDS:
        command = main.group.get_command(click.Context(main.group), name)
        if isinstance(command, click.Group):
            commands += [(f"pipeline {name} {sub}", one) for sub, one in command.commands.items()]
        elif command is not None:
            commands.append((f"pipeline {name}", command))
    for name, command in commands:
        context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100)
        out += [f"## {name}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(out)


def main() -> int:
    """Write all pages."""
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
