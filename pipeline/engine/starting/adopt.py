"""Taking a repository into use: the files that `pipeline init` writes, and their later update.

The flow file is short: it extends the shipped flow and says what was found here. What was written
first is kept in `agents/.init/`, so that an update can tell a person's changes from ours and merge
both.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import yaml

from pipeline.engine.ground.flows import BUILTIN, FLOW, PROMPTS, check, of_text
from pipeline.engine.ground.world import World
from pipeline.errors import InternalError, NothingToDo, UsageProblem
from pipeline.files import atomic
from pipeline.language.flow_schema import flow_schema
from pipeline.prompts import templates
from pipeline.repo.git import Git
from pipeline.survey.checkout_files import FoundTarget
from pipeline.survey.survey import NOT_READABLE, Survey, survey_repository

SCHEMA = "agents/flow.schema.json"
_MERGED = (FLOW,)
KEPT = "agents/.init"
_IGNORED = ("/docs/status/", "/docs/plans/runs/", "/.locks/", "/.triggers/")
_RULES = "# Records of runs (idea-to-pr)\n"
_WIDTH = 100


class InitResult(msgspec.Struct, frozen=True, kw_only=True):
    """What `init` found and what it wrote (or would write).

    `merged` are files that both sides had changed.

    `kept` are files of yours that are left as they are.
    """

    survey: Survey
    files: tuple[str, ...]
    merged: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    flow: str = ""


def adopt(world: World, *, eject_prompts: bool, dry: bool) -> InitResult:
    """Write the flow file of a repository that has none.

    Raises `UsageProblem` when it has one, or nothing fits.
    """
    if (world.user.root / FLOW).exists():
        raise UsageProblem(
            f"{FLOW} is there already, and is left as it is",
            "Bring in what is new: pipeline init --update; look at it: pipeline flow show; "
            "check all: pipeline doctor",
        )
    survey = _survey(world)
    files = _files(world, survey, eject_prompts=eject_prompts)
    kept = [
        name for name in files if name.startswith(PROMPTS) and (world.user.root / name).exists()
    ]
    wanted = {name: text for name, text in files.items() if name not in kept}
    if not dry:
        _write(world, wanted)
    return InitResult(survey=survey, files=tuple(wanted), kept=tuple(kept), flow=files[FLOW])


def update(world: World, *, eject_prompts: bool, dry: bool) -> InitResult:
    """Merge what this version would write into what is there, three ways.

    Raises `NothingToDo` when nothing is new, and `UsageProblem` when both sides changed the same
    lines: then a person's file is left as it is, and the attempt lies beside it; it is not made
    again until something else is new.
    """
    root = world.user.root
    if not (root / FLOW).is_file():
        raise UsageProblem(f"there is no {FLOW} to update", "Write one: pipeline init")
    survey = _survey(world)
    has_prompts = eject_prompts or (root / KEPT / PROMPTS).is_dir()
    wanted = _files(world, survey, eject_prompts=has_prompts)
    merge = _Merge()
    for name, theirs in wanted.items():
        ours, base = _read(root / name), _read(root / _kept(name))
        if name.startswith(KEPT) or (name not in _MERGED and not name.startswith(PROMPTS)):
            merge.changed |= {name: theirs} if ours != theirs else {}
        else:
            merge.add(name, ours, base, theirs)
    if not dry:
        _write(world, merge.changed | {f"{name}.new": text for name, text in merge.clashes.items()})
    if merge.clashes:
        raise _clash(merge, dry=dry)
    if not merge.changed:
        left = ", ".join(f"{name}.new" for name in wanted if (root / f"{name}.new").exists())
        hint = f"Still there from an earlier update: {left}" if left else ""
        raise NothingToDo(
            "nothing is new: the flow is what this version would write, with your changes", hint
        )
    return InitResult(
        survey=survey,
        files=tuple(merge.changed),
        merged=tuple(merge.merged),
        flow=merge.changed.get(FLOW, ""),
    )


class _Merge:
    """What an update comes to.

    Files to be written, those of them that both sides had changed, and clashes.
    """

    def __init__(self) -> None:
        self.changed: dict[str, str] = {}
        self.merged: list[str] = []
        self.clashes: dict[str, str] = {}

    def add(self, name: str, ours: str | None, base: str | None, theirs: str) -> None:
        """Merge one file; one that a person has removed stays away."""
        if ours is None:
            self.changed |= {name: theirs} if base is None else {}
        elif base is None:
            self.clashes |= {name: theirs} if ours != theirs else {}
        elif base != theirs:
            text, clean = _merge(ours, base, theirs)
            (self.changed if clean else self.clashes)[name] = text
            self.merged += [name] if clean and ours != base else []
            if text == ours:
                self.changed.pop(name, None)


def _survey(world: World) -> Survey:
    survey = survey_repository(world.user, dict(world.environ))
    if not survey.parts:
        broken = "".join(
            f"; {one.value} cannot be read: {one.why}"
            for one in survey.facts
            if one.what == NOT_READABLE
        )
        raise UsageProblem(
            f"nothing in {world.user.root} shows how it is tested{broken}",
            "Fix that, then again: pipeline init\n"
            if broken
            else ""
            f"Write {FLOW} yourself: mkdir -p agents && pipeline flow show --shipped > {FLOW}; "
            "then put your paths and test command into `targets`",
        )
    return survey


def _write(world: World, files: Mapping[str, str]) -> None:
    """Write files, the flow last: when another one cannot be written, nothing is taken into use."""
    for name in sorted(files, key=lambda name: name == FLOW):
        try:
            atomic.write_bytes(
                world.user.root / name, files[name].encode("utf-8", "surrogateescape")
            )
        except OSError as exc:
            top = world.user.root / name.partition("/")[0]
            raise UsageProblem(
                f"cannot write {name}: {exc.strerror or exc}",
                f"Make sure that you may write to {top}, then again: pipeline init",
            ) from exc


def _files(world: World, survey: Survey, *, eject_prompts: bool) -> dict[str, str]:
    """Make the text of every file to be written, by name."""
    flow = flow_text(survey)
    _require_sound(world, flow)
    files = {
        FLOW: flow,
        _kept(FLOW): flow,
        SCHEMA: msgspec.json.encode(flow_schema()).decode() + "\n",
    }
    if (rules := _ignore_rules(world)) is not None:
        files[".gitignore"] = rules
    for one in survey.additions:
        files[one.path] = _appended(_read(world.user.root / one.path) or "", one.text)
    if eject_prompts:
        for name, text in templates.read_all(world.shipped / PROMPTS).items():
            files[f"{PROMPTS}/{name}"] = text
            files[_kept(f"{PROMPTS}/{name}")] = text
    return files


def _require_sound(world: World, text: str) -> None:
    """Prove the flow before it is written. Raises `InternalError` if it is not sound."""
    try:
        check(world, of_text(world, text))
    except UsageProblem as exc:
        raise InternalError(f"init would write a flow that is not sound: {exc.what}") from exc


def _ignore_rules(world: World) -> str | None:
    """Return `.gitignore` with the record folders added; None when they are ignored already."""
    git = world.user.git
    left = [
        rule
        for rule in _IGNORED
        if not git.succeeds("check-ignore", "--quiet", f"{rule.strip('/')}/x")
    ]
    if not left:
        return None
    return _appended(_read(world.user.root / ".gitignore") or "", _RULES + "\n".join(left) + "\n")


def _appended(text: str, more: str) -> str:
    """Put lines at the end of a text, which keeps its line endings."""
    more = more if text else more.lstrip("\n")
    end = "\r\n" if "\r\n" in text else "\n"
    return text + (end if text and not text.endswith("\n") else "") + more.replace("\n", end)


def flow_text(survey: Survey) -> str:
    """Write the flow file for what was found."""
    out = [
        f"# yaml-language-server: $schema={SCHEMA.rpartition('/')[2]}",
        "# From an idea to a pull request. Everything not said here comes from the shipped flow:",
        "# pipeline flow show. After a change: pipeline flow check; then: pipeline doctor",
        "version: 1",
        f"extends: {BUILTIN}",
        "",
        "targets:                       # what is built and tested",
    ]
    for part in survey.parts:
        out += _target(part)
    setup = _once(command for part in survey.parts for command in part.setup)
    link = _once(folder for part in survey.parts for folder in part.link)
    if setup or link:
        out += [
            "",
            "workspace:                     # what a fresh checkout needs before its first command",
        ]
        out += _listed("  setup", setup) if setup else []
        inputs = _once(path for part in survey.parts for path in part.inputs)
        out += _listed("  inputs", inputs) if inputs else []
        out += (
            [f"  link: {_value(link)}         # linked as copies from your checkout"]
            if link
            else []
        )
    if survey.command and survey.agent != "claude":
        out += [
            "",
            "defaults:",
            "  backend: command",
            f"  command: {_value(list(survey.command))}",
            f"  pass_env: {_value(list(survey.pass_env))}",
        ]
    out += ["", "# What you want otherwise comes here: limits, defaults, agents, workflows."]
    return "\n".join(out) + "\n"


def _target(part: FoundTarget) -> list[str]:
    tests = "" if part.is_tested else "; no tests yet"
    out = [f"  - name: {_value(part.name)}".ljust(30) + f" # {part.language}: {part.why}{tests}"]
    out += [f"    folder: {_value(part.folder)}"] if part.folder else []
    out += [*_listed("    source", part.source), *_listed("    tests", part.tests)]
    out += _listed("    docs", part.docs) if part.docs else []
    out += _listed("    exclude", part.exclude) if part.exclude else []
    out += _test(part)
    out += [f"    depends: {_value(list(part.depends))}"] if part.depends else []
    out += _listed("    checks", part.checks) if part.checks else []
    out += (
        [f"    # not installed here, so not checked: {', '.join(part.missing)}"]
        if part.missing
        else []
    )
    out += [f"    format: {_value(list(part.format))}"] if part.format else []
    return out


def _test(part: FoundTarget) -> list[str]:
    """Write how a target is tested; servers that cannot be started here become comments."""
    known: dict[str, object] = {"command": part.command}
    known |= {"report": "exit-code"} if part.exit_code_only else {}
    known |= {"runner": part.runner} if part.runner and not part.exit_code_only else {}
    if not part.env and not part.services:
        return [f"    test: {_value(known if len(known) > 1 else part.command)}"]
    out = ["    test:", *(f"      {key}: {_value(value)}" for key, value in known.items())]
    source = f"  # from {part.surroundings}" if part.surroundings else ""
    out += [f"      env:{source}"] if part.env else []
    out += [f"        {name}: {_value(value)}" for name, value in part.env.items()]
    head = "      " if part.has_docker else "      # "
    if part.services and not part.has_docker:
        out.append(f"      # {part.surroundings} starts servers by docker, which is not installed:")
    out += [f"{head}services:"] if part.services else []
    for service in part.services:
        values = msgspec.structs.asdict(service).items()
        lines = [f"{key}: {_value(value)}" for key, value in values]
        out += [f"{head}  {'-' if not number else ' '} {line}" for number, line in enumerate(lines)]
    return out


def _listed(key: str, values: Sequence[str]) -> list[str]:
    """Write a list, on one line if it fits."""
    line = f"{key}: {_value(list(values))}"
    if len(line) <= _WIDTH:
        return [line]
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    return [f"{key}:", *(f"{indent}- {_value(value)}" for value in values)]


def _value(value: object) -> str:
    """Write a value as YAML on one line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("...\n").strip()


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _kept(name: str) -> str:
    """Name the copy of a file as it was first written."""
    return f"{KEPT}/{name.removeprefix('agents/')}"


def _read(path: Path) -> str | None:
    """Read a file as it is, line endings and bytes that are no UTF-8 included.

    None when there is none.
    """
    return path.read_bytes().decode("utf-8", "surrogateescape") if path.is_file() else None


def _merge(ours: str, base: str, theirs: str) -> tuple[str, bool]:
    """Merge two changes of one text; tell whether they do not touch the same lines."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, text in (("yours", ours), ("before", base), ("new", theirs)):
            ended = text.replace("\n", "\r\n") if "\r\n" in ours and part != "yours" else text
            (folder / part).write_bytes(ended.encode("utf-8", "surrogateescape"))
        done = Git(folder).run("merge-file", "-p", "yours", "before", "new", ok=range(128))
        return done.stdout.decode("utf-8", "surrogateescape"), done.returncode == 0


def _clash(merge: _Merge, *, dry: bool) -> UsageProblem:
    names = ", ".join(f"{name}.new" for name in merge.clashes)
    written = [name for name in merge.changed if not name.startswith(KEPT)]
    if dry:
        return UsageProblem(
            f"{', '.join(merge.clashes)}: you changed what is new in this version; yours would "
            "be left as it is",
            f"Have what is new put beside it as {names}: pipeline init --update",
        )
    also = f"; brought up to date: {', '.join(written)}" if written else ""
    return UsageProblem(
        f"{', '.join(merge.clashes)}: you changed what is new in this version; yours is left "
        f"as it is{also}",
        f"Take over from {names} what you want, and remove it; then: pipeline flow check",
    )
