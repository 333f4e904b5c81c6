"""Real command lines for tests, agents' and package managers': installed once, at exact versions,
into a cache folder.

Claude Code comes from npm together with the Node it wants, because npm on an older Node silently
picks an older release of a package that is not pinned. Nothing of the user's own npm or agent
settings is read: HOME is a temporary folder at install time and at run time.

try: cli = claude_code(cache_folder(os.environ), os.environ) except MissingCli as missing:
pytest.skip(str(missing)) env = scrubbed_env(cli, server.base_url, home=tmp_path)
subprocess.run([*claude_argv(cli)], input=prompt, cwd=repository, env=env, ...)
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

NODE_VERSION = "22.23.3"
CLAUDE_CODE_VERSION = "2.1.329"

INSTALL_TIMEOUT_S = 300

_QUIETLY = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
_SETTINGS = ("--ignore-scripts=false", "--fetch-retries=1", "--fetch-timeout=60000")
_PASSED_ON = re.compile(
    r"PATH|LANG|TMPDIR|HTTPS?_PROXY|NO_PROXY|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|NPM_CONFIG_.+",
    re.IGNORECASE,
)


class MissingCli(Exception):  # noqa: N818 -- a reason to skip, not an error
    """The command line cannot be had here; the text is the reason to skip a test with."""


@dataclass(frozen=True)
class AgentCli:
    """An installed command line: what to run, and the folder of the `node` beside it."""

    executable: Path
    node_bin: Path
    version: str


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where the command lines live: PIPELINE_TEST_CLIS, or a folder of the user's cache."""
    if chosen := environ.get("PIPELINE_TEST_CLIS"):
        return Path(chosen).absolute()
    caches = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches).absolute() / "idea-to-pr-tests"


def claude_code(cache: Path, environ: Mapping[str, str]) -> AgentCli:
    """The pinned Claude Code, installed under `cache` unless it is there already.

    Of `environ` npm gets the search path, proxies, certificates and NPM_CONFIG_*. May be called by
    several processes at once: one installs (about 15 s, 550 MB), the others wait for it. Raises
    MissingCli without npm, without network, or when a version is not the pinned one.
    """
    pins = f"claude-code-{CLAUDE_CODE_VERSION}-node-{NODE_VERSION}"
    folder = cache / f"{pins}-{platform.system()}-{platform.machine()}".lower()
    node, claude = folder / "node", folder / "claude"
    cli = AgentCli(
        executable=claude / "node_modules" / ".bin" / "claude",
        node_bin=node / "node_modules" / "node" / "bin",
        version=CLAUDE_CODE_VERSION,
    )
    stamp = folder / "installed"  # written last: without it the folder is a half-done install
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if stamp.exists():
            with suppress(MissingCli):  # a damaged cache is made anew
                _check(cli)
                return cli
        shutil.rmtree(folder, ignore_errors=True)
        _install(node, "node", NODE_VERSION, environ)
        path = os.pathsep.join([str(cli.node_bin), environ.get("PATH", os.defpath)])
        _install(
            claude, "@anthropic-ai/claude-code", CLAUDE_CODE_VERSION, {**environ, "PATH": path}
        )
        _check(cli)
        stamp.touch()
    return cli


def npm_packages(
    cache: Path, environ: Mapping[str, str], packages: Mapping[str, str]
) -> tuple[Path, Path]:
    """Packages of npm at exact versions: their `node_modules`, and the folder of the pinned `node`.

    Made once under `cache`; may be called by several processes at once. Raises MissingCli.
    """
    pins = "-".join(
        f"{name.replace('/', '_').lstrip('@')}-{version}"
        for name, version in sorted(packages.items())
    )
    folder = cache / f"npm-{pins}-{platform.system()}-{platform.machine()}".lower()
    node = cache / f"node-{NODE_VERSION}-{platform.system()}-{platform.machine()}".lower()
    for made, wanted in ((node, {"node": NODE_VERSION}), (folder, packages)):
        with _locked(made.with_name(f"{made.name}.lock")):
            if not (made / "installed").exists():
                shutil.rmtree(made, ignore_errors=True)
                path = os.pathsep.join(
                    [str(node / "node_modules/node/bin"), environ.get("PATH", os.defpath)]
                )
                for name, version in wanted.items():
                    _install(made, name, version, {**environ, "PATH": path})
                (made / "installed").touch()
    return folder / "node_modules", node / "node_modules" / "node" / "bin"


def pypi_program(cache: Path, environ: Mapping[str, str], package: str, version: str) -> Path:
    """A program of PyPI at an exact version, in an environment of its own; it is named like its
    package.

    Made once under `cache`; may be called by several processes at once. Raises MissingCli.
    """
    name = package.partition("[")[0]
    folder = cache / f"pypi-{name}-{version}-{platform.system()}-{platform.machine()}".lower()
    env = {**environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            python = str(Path(sys.base_prefix) / "bin" / "python3")
            _run([python, "-m", "venv", str(folder)], cache, env)
            _run(
                [
                    str(folder / "bin/python"),
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    f"{package}=={version}",
                ],
                cache,
                env,
            )
            (folder / "installed").touch()
    return folder / "bin" / name


def claude_argv(cli: AgentCli, *options: str) -> list[str]:
    """Claude Code without a terminal: the prompt on stdin, edits in its folder allowed."""
    headless = ["-p", "--permission-mode", "acceptEdits", "--output-format", "text"]
    return [str(cli.executable), *headless, *options]


def scrubbed_env(cli: AgentCli, base_url: str, home: Path) -> dict[str, str]:
    """The whole environment of a run that reaches only `base_url`.

    `home` exists and takes the agent's settings, sessions and temporary files. The key is a dummy
    and every other host is behind a proxy that is not there. The search path holds Node, this
    Python, git and the system's commands.
    """
    git = shutil.which("git")
    folders = [cli.node_bin, Path(sys.executable).parent, *([Path(git).parent] if git else [])]
    dead_proxy = "http://127.0.0.1:9"
    env = {
        "PATH": os.pathsep.join([*map(str, folders), os.defpath]),
        **dict.fromkeys(("HOME", "TMPDIR", "CLAUDE_CODE_TMPDIR", "XDG_RUNTIME_DIR"), str(home)),
        "LANG": "C.UTF-8",
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_API_KEY": "dummy",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "2",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "HTTP_PROXY": dead_proxy,
        "HTTPS_PROXY": dead_proxy,
        "NO_PROXY": "127.0.0.1,localhost",
    }
    if os.geteuid() == 0:  # as root it refuses --permission-mode bypassPermissions otherwise
        env["IS_SANDBOX"] = "1"
    return env


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's lock; the system frees it when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(folder: Path, package: str, version: str, environ: Mapping[str, str]) -> None:
    npm = shutil.which("npm", path=environ.get("PATH", os.defpath))
    if npm is None:
        raise MissingCli(f"npm is not on the search path; {package}@{version} comes from npm")
    folder.mkdir(parents=True, exist_ok=True)
    # Both packages put their binary in place by an install script. npm 11 asks for leave in this
    # file, and refuses the option of the same name; npm 10 does not know of it and runs them.
    wanted = {"private": True, "allowScripts": {package: True}}
    if not (folder / "package.json").exists():
        (folder / "package.json").write_text(json.dumps(wanted), encoding="utf-8")
    argv = [npm, "install", *_QUIETLY, *_SETTINGS, "--prefix", str(folder), f"{package}@{version}"]
    with tempfile.TemporaryDirectory() as home:
        env = {name: value for name, value in environ.items() if _PASSED_ON.fullmatch(name)}
        _run(argv, folder, {**env, "HOME": home})


def _check(cli: AgentCli) -> None:
    """Raise MissingCli unless both programs answer with the pinned version."""
    pins = {cli.node_bin / "node": f"v{NODE_VERSION}", cli.executable: cli.version}
    with tempfile.TemporaryDirectory() as home:
        for program, version in pins.items():
            env = {"HOME": home, "PATH": os.pathsep.join([str(cli.node_bin), os.defpath])}
            answer = _run([str(program), "--version"], Path(home), env)
            if answer.split()[:1] != [version]:
                raise MissingCli(f"{program} is {answer.strip()!r}, not {version}")


def _run(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> str:
    """The output of a command; MissingCli when it fails. Its children end with it."""
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    except OSError as error:
        raise MissingCli(f"cannot run {argv[0]}: {error}") from error
    with process:
        try:
            output, _ = process.communicate(timeout=INSTALL_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise MissingCli(f"{' '.join(argv)} took over {INSTALL_TIMEOUT_S} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        raise MissingCli(f"{' '.join(argv)} ended with {process.returncode}: {output[-600:]}")
    return output
