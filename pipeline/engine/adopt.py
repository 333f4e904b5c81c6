"""Taking a repository into use: the files that `pipeline init` writes, and their later update.

The flow file is short: it extends the shipped flow and says what was found here. What was written first is kept in
`agents/.init/`, so that an update can tell a person's changes from ours and merge both.
"""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import yaml

from pipeline import prompts
from pipeline.engine.flows import BUILTIN, FLOW, PROMPTS
from pipeline.engine.world import World
from pipeline.errors import NothingToDo, UsageProblem
from pipeline.files import atomic
from pipeline.language.flow_schema import flow_schema
from pipeline.repo.git import Git
from pipeline.survey.look import Part
from pipeline.survey.survey import Survey, survey

SCHEMA = "agents/flow.schema.json"
KEPT = "agents/.init"
_IGNORED = ("/docs/status/", "/docs/plans/runs/", "/.locks/", "/.triggers/")
_RULES = "# Records of runs (idea-to-pr)\n"
_WIDTH = 110


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What `init` found and what it wrote (or would write); `merged` are files that both sides had changed."""

    found: Survey
    files: tuple[str, ...]
    merged: tuple[str, ...] = ()
    flow: str = ""


def adopt(world: World, *, eject_prompts: bool, dry: bool) -> Written:
    """Write the flow file of a repository that has none. Raises `UsageProblem` when it has one, or nothing fits."""
    if (world.user.root / FLOW).exists():
        raise UsageProblem(
            f"{FLOW} is there already, and is left as it is",
            "Bring in what is new: pipeline init --update; look at it: pipeline flow show; check all: pipeline doctor",
        )
    found = _survey(world)
    files = _files(world, found, eject_prompts=eject_prompts)
    if not dry:
        for name, text in files.items():
            atomic.write_text(world.user.root / name, text)
    return Written(found=found, files=tuple(files), flow=files[FLOW])


def update(world: World, *, eject_prompts: bool, dry: bool) -> Written:
    """Merge what this version would write into what is there, three ways.

    Raises `NothingToDo` when nothing is new, and `UsageProblem` when both sides changed the same lines: then nothing
    of a person's is touched, and the attempt lies beside it.
    """
    root = world.user.root
    if not (root / FLOW).is_file():
        raise UsageProblem(f"there is no {FLOW} to update", "Write one: pipeline init")
    found = _survey(world)
    has_prompts = eject_prompts or (root / KEPT / PROMPTS).is_dir()
    wanted = _files(world, found, eject_prompts=has_prompts)
    changed: dict[str, str] = {}
    merged: list[str] = []
    clashes: dict[str, str] = {}
    for name, theirs in wanted.items():
        ours, base = _read(root / name), _read(root / _kept(name))
        if ours is None or name in {SCHEMA, ".gitignore"} or name.startswith(KEPT):
            changed.update({name: theirs} if ours != theirs else {})
        elif base is None:
            clashes.update({name: theirs} if ours != theirs else {})
        elif base != theirs:
            text, clean = _merge(ours, base, theirs)
            (changed if clean else clashes)[name] = text
            merged += [name] if clean and ours != base else []
    if clashes:
        raise _clash(world, clashes, dry=dry)
    if not changed:
        raise NothingToDo("nothing is new: the flow is what this version would write, with your changes")
    if not dry:
        for name, text in changed.items():
            atomic.write_text(root / name, text)
    return Written(found=found, files=tuple(changed), merged=tuple(merged), flow=changed.get(FLOW, ""))


def _survey(world: World) -> Survey:
    found = survey(world.user, dict(world.environ))
    if not found.parts:
        raise UsageProblem(
            f"nothing in {world.user.root} shows how it is tested",
            f"Write {FLOW} yourself; a start: mkdir -p agents && pipeline flow show --shipped > {FLOW}",
        )
    return found


def _files(world: World, found: Survey, *, eject_prompts: bool) -> dict[str, str]:
    """Make the text of every file to be written, by name."""
    flow = flow_text(found)
    files = {FLOW: flow, _kept(FLOW): flow, SCHEMA: msgspec.json.encode(flow_schema()).decode() + "\n"}
    if (rules := _ignore_rules(world)) is not None:
        files[".gitignore"] = rules
    if eject_prompts:
        for name, text in prompts.read_all(world.shipped / PROMPTS).items():
            files[f"{PROMPTS}/{name}"] = text
            files[_kept(f"{PROMPTS}/{name}")] = text
    return files


def _ignore_rules(world: World) -> str | None:
    """Return `.gitignore` with the record folders added; None when they are ignored already."""
    git = world.user.git
    left = [rule for rule in _IGNORED if not git.works("check-ignore", "--quiet", f"{rule.strip('/')}/x")]
    if not left:
        return None
    text = _read(world.user.root / ".gitignore") or ""
    return text + ("\n" if text and not text.endswith("\n") else "") + _RULES + "\n".join(left) + "\n"


def flow_text(found: Survey) -> str:
    """Write the flow file for what was found."""
    out = [
        f"# yaml-language-server: $schema={SCHEMA.rpartition('/')[2]}",
        "# From an idea to a pull request. Everything that is not said here comes from the shipped flow:",
        "# pipeline flow show. After a change: pipeline flow check; is all else ready: pipeline doctor",
        "version: 1",
        f"extends: {BUILTIN}",
        "",
        "targets:                       # what is built and tested",
    ]
    for part in found.parts:
        out += _target(part)
    setup = _once(command for part in found.parts for command in part.setup)
    link = _once(folder for part in found.parts for folder in part.link)
    if setup or link:
        out += ["", "workspace:                     # what a fresh checkout needs before anything runs in it"]
        out += [f"  setup: {_value(setup)}"] if setup else []
        out += [f"  link: {_value(link)}         # lent as copies from your checkout"] if link else []
    if found.command and found.agent != "claude":
        out += [
            "",
            "defaults:",
            f"  command: {_value(list(found.command))}",
            f"  pass_env: {_value(list(found.pass_env))}",
        ]
    return "\n".join(out) + "\n"


def _target(part: Part) -> list[str]:
    test = part.command
    if part.exit_code_only:
        test = _value({"command": part.command, "report": "exit-code"})
    elif part.runner:
        test = _value({"command": part.command, "runner": part.runner})
    else:
        test = _value(part.command)
    out = [f"  - name: {part.name}".ljust(31) + f"# {part.language}: {part.why}"]
    out += [f"    folder: {part.folder}"] if part.folder else []
    out += [f"    source: {_value(list(part.source))}", f"    tests: {_value(list(part.tests))}", f"    test: {test}"]
    out += [f"    checks: {_value(list(part.checks))}"] if part.checks else []
    out += [f"    # not installed here, so not checked: {', '.join(part.missing)}"] if part.missing else []
    out += [f"    format: {_value(list(part.format))}"] if part.format else []
    return out


def _value(value: object) -> str:
    """Write a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _kept(name: str) -> str:
    """Name the copy of a file as it was first written."""
    return f"{KEPT}/{name.removeprefix('agents/')}"


def _read(path: Path) -> str | None:
    return path.read_text(errors="replace") if path.is_file() else None


def _merge(ours: str, base: str, theirs: str) -> tuple[str, bool]:
    """Merge two changes of one text; tell whether they do not touch the same lines."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, text in (("yours", ours), ("before", base), ("new", theirs)):
            (folder / part).write_text(text)
        done = Git(folder).run("merge-file", "-p", "yours", "before", "new", ok=range(128))
        return done.stdout.decode(), done.returncode == 0


def _clash(world: World, clashes: Mapping[str, str], *, dry: bool) -> UsageProblem:
    names = []
    for name, text in clashes.items():
        names.append(f"{name}.new")
        if not dry:
            atomic.write_text(world.user.root / f"{name}.new", text)
    return UsageProblem(
        f"{', '.join(clashes)}: you and this version changed the same lines; yours is left as it is",
        f"Take over from {', '.join(names)} what you want and remove it; then: pipeline flow check",
    )
