"""Check what a single stage does: its command, paths, gates, outputs and publishing."""

from pipeline.ids import why_invalid_branch
from pipeline.language import placeholders
from pipeline.language.compiler import glob_words
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.flow import FieldType, Flow, GateName, Output, Schema, Stage
from pipeline.language.flow_names import STATES, check_globs
from pipeline.language.flow_source import Path, Source
from pipeline.language.plan import Kind

_TEST_GATES = {GateName.RED, GateName.GREEN, GateName.PROOF, GateName.NOTICED}
_TYPES = [kind.value for kind in FieldType]


def check_work(flow: Flow, source: Source, stage: Stage, kind: Kind, here: Path) -> None:
    """Check what the stage at the path `here` does."""
    _check_command(source, stage, here)
    _check_paths(flow, source, stage, here)
    _check_gates(source, stage, kind, here)
    _check_outputs(source, stage, here)
    _check_publish(source, stage, here)


def _check_command(source: Source, stage: Stage, here: Path) -> None:
    """Report an empty command, and values in a command.

    What an idea or an agent says must never be part of what a shell runs.
    """
    if stage.run is not None and not stage.run.strip():
        source.error("F114", (*here, "run"), "the command is empty", "write what is to be run")
    for word, offset in placeholders.places(stage.run or ""):
        if placeholders.is_name(word):
            variable = word.rpartition(".")[2].upper()
            source.error_at_offset(
                "F215",
                (*here, "run"),
                offset,
                "a value in a command line could be executed by the shell",
                f'pass it as a variable: env: {{{variable}: "{{{{ {word} }}}}"}}, '
                f'and write "${variable}"',
            )


def _check_paths(flow: Flow, source: Source, stage: Stage, here: Path) -> None:
    known = glob_words(flow.targets)
    check_globs(source, (*here, "writes"), stage.writes, known)
    check_globs(source, (*here, "reads"), stage.reads or (), known)
    for name in stage.env:
        if name.startswith("PIPELINE_"):
            message = f"{name}: variables that begin with PIPELINE_ are reserved for the engine"
            source.error_at_key("F114", (*here, "env", name), message, "use another name")


def _check_gates(source: Source, stage: Stage, kind: Kind, here: Path) -> None:
    path: Path = (*here, "gates")
    if stage.gates_first and not stage.gates:
        message = f"{here[-1]} asks its gates first and has none, so its agent is never called"
        source.error_at_key("F207", (*here, "gates_first"), message, "give it gates: [...]")
    for name, output in stage.outputs.items() if stage.gates_first else ():
        if not output.optional:
            message = f"when the gates are satisfied nobody is called to write {name}"
            source.error_at_key("F207", (*here, "outputs", name), message, "make it optional: true")
    if _TEST_GATES & set(stage.gates) and kind is Kind.PARALLEL:
        source.error("F207", path, "test gates belong to an agent or run stage")
    sources = (stage, *(stage.parallel or {}).values())
    if GateName.FINDINGS in stage.gates and not any(map(_delivers_findings, sources)):
        message = f"no stage here delivers findings, so the gate of {here[-1]} has none to check"
        hint = "declare them: outputs: {findings: {file: findings.json, schema: findings}}"
        source.error("F207", path, message, hint)


def _delivers_findings(stage: Stage) -> bool:
    return any(output.schema is Schema.FINDINGS for output in stage.outputs.values())


def _check_outputs(source: Source, stage: Stage, here: Path) -> None:
    files: dict[str, str] = {}
    for name, output in stage.outputs.items():
        path: Path = (*here, "outputs", name)
        if name in STATES:
            message = f"{name!r} is a state that every stage has; an output needs another name"
            source.error("F114", path, message)
        _check_fields(source, output, path)
        if source.has_error_below((*path, "file")):
            continue
        if output.file.startswith("/") or ".." in output.file.split("/") or not output.file:
            message = f"{output.file!r} is not a file in the output folder"
            source.error("F114", (*path, "file"), message)
        if output.file in files:
            message = f"{name} and {files[output.file]} are the same file {output.file}"
            source.error("F114", path, message)
        files[output.file] = name
        if (output.fields or output.schema) and not output.file.endswith(".json"):
            hint = f"call it {output.file.rpartition('.')[0] or output.file}.json"
            message = f"{output.file} has a declared shape, so it must be a .json file"
            source.error("F114", path, message, hint)


def _check_fields(source: Source, output: Output, path: Path) -> None:
    for field, words in output.fields.items():
        if len(words) == 1 and words[0] not in _TYPES:
            message = f"{words[0]!r} is not a type, and a single word is not a choice"
            near = did_you_mean(words[0], _TYPES)
            hint = f"{near}; or list the words it may hold: [small, large]"
            source.error_at_offset("F114", (*path, "fields", field), 0, message, hint)


def _check_publish(source: Source, stage: Stage, here: Path) -> None:
    if stage.publish is None:
        return
    path: Path = (*here, "publish")
    if reason := why_invalid_branch(stage.publish.branch):
        message = f"{stage.publish.branch!r} is not a valid branch name: {reason}"
        hint = "for example: branch: 'feature/{feature}-{run_id}'"
        source.error("F114", (*path, "branch"), message, hint)
    for name, value in stage.publish.trailers.items():
        if not value.strip() or "\n" in value:
            message = f"the trailer {name} needs a value of exactly one line"
            source.error("F114", (*path, "trailers", name), message)
