"""Take fifty strangers' repositories into use, unaided, and write down what came of each.

    python -m tests.real.strangers [NAME ...] [--write] [--left] [--quick]

Each is laid out from its source archive as a repository with one commit; then `pipeline init` and
`pipeline doctor` run in it as for a person. What came of it is kept in the cache folder, so that a
table can be written from runs made one after the other. `--left` runs what has no result yet,
`--quick` leaves out set-up, tests and checks, and `--write` alone writes
docs/reference/strangers.md from what is there.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.helpers.agent_clis import cache_folder
from tests.helpers.archives import Archive, MissingArchive
from tests.helpers.project import BIN

LIST = Path(__file__).with_suffix(".toml")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "strangers.md"
INIT_MAX_S = 120
DOCTOR_MAX_S = 300
_CELL_MAX_CHARACTERS = 260
_COMMANDS_MAX = 3
_HEAD = """\
# Strangers' repositories

<!-- Written by tests/real/strangers.py; do not edit. -->

Fifty popular repositories, each laid out from its source archive as a repository with one commit, and
taken into use as a person would: `pipeline init`, then `pipeline doctor` on what it wrote. *Ready* means
that doctor ends with exit status 0: a run would start. *Looked at*: `pipeline doctor --quick`, which
leaves out set-up, tests and checks. An archive is not the repository: it can lack
tests, lock files or submodules that its authors have.

"""


@dataclass(frozen=True)
class Stranger:
    """One repository of the list; `changed` is what a person has to change before it is ready."""

    name: str
    language: str
    archive: Archive
    run: bool = True
    changed: str = ""
    note: str = ""


@dataclass
class Outcome:
    """What came of one: `state` is `ready`, `not ready`, `looked at` or `not obtainable here`."""

    name: str
    version: str
    state: str
    found: str = ""
    said: str = ""
    day: str = ""
    took_s: float = 0.0
    checks: list[dict[str, str]] = field(default_factory=list)


def strangers() -> list[Stranger]:
    """Read the list."""
    rows = tomllib.loads(LIST.read_text())["stranger"]
    keys = ("name", "language", "run", "changed", "note")
    return [
        Stranger(
            archive=Archive(row["from"], row["archive"], row["version"], row["sha256"]),
            **{key: row[key] for key in keys if key in row},
        )
        for row in rows
    ]


def look_at(one: Stranger, folder: Path, *, quick: bool) -> Outcome:
    """Lay a repository out below a folder, and take it into use."""
    outcome = Outcome(one.name, one.archive.version, "not obtainable here")
    outcome.day = f"{datetime.now(UTC):%Y-%m-%d}"
    root = folder / re.sub(r"\W", "-", one.name)
    began = time.monotonic()
    try:
        one.archive.unpack(root)
    except MissingArchive:
        return outcome
    env = _environment(folder)
    _lay_out(root, env)
    if one.archive.kind == "pypi":  # as the repository has it: many take their version from it
        _git(root, env, "tag", one.archive.version)
    _take_up(outcome, root, env, quick=quick or not one.run)
    outcome.took_s = round(time.monotonic() - began, 1)
    return outcome


def _lay_out(root: Path, env: dict[str, str]) -> None:
    """Make a repository of what an archive holds, without the archive's own metadata."""
    (root / "PKG-INFO").unlink(missing_ok=True)
    for path in [*root.glob("*.egg-info"), *root.glob("src/*.egg-info")]:
        shutil.rmtree(path)
    if (original := root / "Cargo.toml.orig").exists():
        original.replace(root / "Cargo.toml")
    (root / ".cargo_vcs_info.json").unlink(missing_ok=True)
    _git(root, env, "init", "--quiet", "--initial-branch=main")
    _git(root, env, "config", "user.name", "A Person")
    _git(root, env, "config", "user.email", "person@example.org")
    _commit(root, env, "Import")


def _take_up(outcome: Outcome, root: Path, env: dict[str, str], *, quick: bool) -> None:
    code, out = _run(root, env, INIT_MAX_S, "pipeline", "init", "--json")
    if code != 0:
        outcome.state, outcome.found = "not ready", f"init: {_plain(out, root)}"
        return
    outcome.found = _found(json.loads(out[out.index("{") :])["survey"])
    _commit(root, env, "Take up the pipeline")
    doctor = ("pipeline", "doctor", "--json", *(("--quick",) if quick else ()))
    code, out = _run(root, env, DOCTOR_MAX_S, *doctor)
    _, brace, rest = out.partition("{")
    if not brace:
        outcome.state, outcome.said = "not ready", _plain(out, root)
        return
    said = json.loads(brace + rest)
    outcome.checks = [
        {key: _plain(text, root, 2000) for key, text in each.items()} for each in said["checks"]
    ]
    outcome.state = "looked at" if quick else "ready"
    outcome.state = "not ready" if said["exit_code"] else outcome.state
    outcome.said = _said(outcome.checks) or "the flow is sound; its tests were not run"


def _found(survey: dict[str, Any]) -> str:
    parts = survey["parts"]
    commands = list(dict.fromkeys(f"`{part['command']}`" for part in parts))
    words = [check.split() for part in parts for check in part["checks"]]
    names = (" ".join(each[:2]) if each[0] in {"go", "cargo"} else each[0] for each in words)
    checks = list(dict.fromkeys(names))
    head = f"{len(parts)} targets: " if len(parts) > 1 else ""
    shown = ", ".join(commands[:_COMMANDS_MAX]) + (", ..." if len(commands) > _COMMANDS_MAX else "")
    return head + shown + (f"; checks: {', '.join(checks)}" if checks else "")


def _said(checks: list[dict[str, str]]) -> str:
    """Say in a few words what doctor said: what failed, else how the tests and checks came out."""
    failed = [f"{one['name']}: {one['text']}" for one in checks if one["status"] == "fail"]
    if failed:
        return "; ".join(failed)
    told = [one for one in checks if one["name"].startswith("tests of ")]
    doubts = [
        one for one in checks if one["name"].startswith("check of ") if one["status"] == "warn"
    ]
    words = [one["text"].partition(" and are not held")[0] for one in told]
    words += [f"{len(doubts)} check(s) find something already"] if doubts else []
    return "; ".join(words)


def _plain(text: str, root: Path, length: int = _CELL_MAX_CHARACTERS) -> str:
    """Return a text on one line, without the places of this machine."""
    text = text.replace(str(root), ".").replace(str(root.parent), "HOME")
    text = _placeless(text)
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
    return text if len(text) <= length else text[:length].rsplit(" ", 1)[0] + " ..."


def _placeless(text: str) -> str:
    """Return a text without addresses, hosts and folders of this machine."""
    text = re.sub(r"HOME/state/repos/\S*?/tree/", "", text)
    text = re.sub(r"\b(?:https?|file)://[^\s'\")]+", "(address)", text)
    text = re.sub(r"\blookup \S+ on [\d.:]+", "lookup (host)", text)
    text = re.sub(r"\b(?:[\w-]+\.)+(?:io|org|net)\b(?![/\w])", "(host)", text)
    return re.sub(r"(?<![\w.])/(?:root|home|tmp|opt|usr|work|var)/[^\s:'\",)]*", "(path)", text)


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of a person who has the usual tools, a signed-in agent and no more."""
    programs = folder / "bin"
    programs.mkdir()
    agent = programs / "claude"
    agent.write_text("#!/bin/sh\nexit 1\n")
    agent.chmod(0o755)
    (programs / "pipeline").symlink_to(BIN / "pipeline")
    tools = [str(programs), str(Path(sys.base_prefix) / "bin")]
    found = (shutil.which(name) for name in ("node", "go", "cargo"))
    tools += [str(Path(path).parent) for path in found if path]
    home = Path.home()
    return {
        "PATH": ":".join([*dict.fromkeys(tools), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PIPELINE_STATE_DIR": str(folder / "state"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "ANTHROPIC_API_KEY": "none",
        "CARGO_HOME": str(home / ".cargo"),
        "RUSTUP_HOME": str(home / ".rustup"),
        "GOFLAGS": "-modcacherw",
        "PIP_CACHE_DIR": str(cache_folder(os.environ) / "pip"),
    }


def _run(root: Path, env: dict[str, str], limit_s: float, *command: str) -> tuple[int, str]:
    """Run one command, with all that it starts ended after its time; return status and output."""
    process = subprocess.Popen(
        command, cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        return 124, f"{' '.join(command[:2])} was not over after {limit_s / 60:.0f} min"
    return process.returncode, out if "{" in out else out + err


def _git(root: Path, env: dict[str, str], *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, env=env, check=True, capture_output=True)


def _commit(root: Path, env: dict[str, str], message: str) -> None:
    _git(root, env, "add", "--all")
    _git(root, env, "commit", "--quiet", "--message", message)


def _kept(one: Stranger) -> Path:
    folder = cache_folder(os.environ) / "strangers"
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^\w.-]", "-", one.name)
    return folder / f"{name}.json"


def outcomes() -> dict[str, Outcome]:
    """Read what came of the latest run of each, where there was one of the version in the list."""
    found: dict[str, Outcome] = {}
    for one in strangers():
        if (kept := _kept(one)).exists():
            outcome = Outcome(**json.loads(kept.read_text()))
            found |= {one.name: outcome} if outcome.version == one.archive.version else {}
    return found


def page(found: dict[str, Outcome]) -> str:
    """Write the page; a repository that was not run yet says so."""
    rows, states, days = [], [], set()
    for one in strangers():
        outcome = found.get(one.name, Outcome(one.name, one.archive.version, "not run"))
        states.append(outcome.state)
        days |= {outcome.day} - {""}
        said = "; ".join(filter(None, (_cut(outcome.said), one.note)))
        changed = one.changed or ("nothing" if outcome.state == "ready" else "")
        cells = (
            one.name,
            one.archive.version,
            one.language,
            _cut(outcome.found),
            outcome.state,
            said,
        )
        rows.append(" | ".join(_cell(text) for text in (*cells, changed)))
    ran = f"run on {' and '.join(sorted(days))}" if days else "not run yet"
    others = sorted(set(states) - {"ready"})
    counts = ", ".join(f"{states.count(state)} {state}" for state in others)
    unaided = f"{states.count('ready')} ready unaided"
    out = [
        f"{_HEAD}Of {len(rows)}: {unaided}, {counts}; {ran}, by `python -m tests.real.strangers`.",
        "",
        "| repository | version of the archive | language | what init found | outcome | what doctor said | changed by hand |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(f"| {row} |" for row in rows),
    ]
    return "\n".join([*out, ""])


def _cut(text: str) -> str:
    text = _placeless(text)
    if len(text) <= _CELL_MAX_CHARACTERS:
        return text
    short = text[:_CELL_MAX_CHARACTERS].rsplit(" ", 1)[0]
    return short + ("`" if short.count("`") % 2 else "") + " ..."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("](", "] (")


def main() -> int:
    """Run those named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--write", action="store_true", help="write the page")
    parser.add_argument("--left", action="store_true", help="run what has no result yet")
    parser.add_argument("--quick", action="store_true", help="leave out set-up, tests, checks")
    options = parser.parse_args()
    known = outcomes()
    chosen = [one for one in strangers() if one.name in options.names]
    if options.left or not (options.names or options.write):
        chosen += [one for one in strangers() if not (options.left and one.name in known)]
    for one in chosen:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            outcome = look_at(one, Path(name), quick=options.quick)
        _kept(one).write_text(json.dumps(asdict(outcome), indent=1))
        print(f"{one.name}: {outcome.state} ({outcome.took_s:.0f} s)", flush=True)
        print(f"    {outcome.found}\n    {outcome.said[:600]}", flush=True)
    if options.write:
        PAGE.write_text(page(outcomes()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
