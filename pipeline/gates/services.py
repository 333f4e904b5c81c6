"""What tests need beside them: databases and other servers, for one gate workspace.

A service is started once, in the foreground under a shim of its own, and is stopped and swept with
the workspace. Whether it is ready is asked before every test run: a service that is down means that
nothing could be looked at, never that a test is red.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template
from typing import NamedTuple

from pipeline.core.excerpt import excerpt
from pipeline.errors import Interrupted
from pipeline.files.clocks import Deadline
from pipeline.files.trees import remove
from pipeline.language.target import Service, Target
from pipeline.process.commands import CommandRequest, Purpose
from pipeline.process.launch import Attempt, read_record
from pipeline.process.spec import STDERR, STDOUT, CommandEnding, ExitRecord

_READY_TIMEOUT_S = 60.0
_ASKING_TIMEOUT_S = 20.0
_STOPPING_TIMEOUT_S = 30.0
_RUNS_AT_MOST_S = 7 * 24 * 3600.0
_PAUSE_S = 0.2


def test_variables(target: Target, port_base: int) -> dict[str, str]:
    """Return the variables that a target's tests are given; they may name PIPELINE_PORT_BASE."""
    known = {"PIPELINE_PORT_BASE": str(port_base)} if port_base else {}
    return {name: Template(text).safe_substitute(known) for name, text in target.test.env.items()}


class _Running(NamedTuple):
    """One service that was started."""

    service: Service
    request: CommandRequest
    attempt: Attempt


class Services:
    """The services of one gate workspace, by target."""

    def __init__(
        self,
        folder: Path,
        launch: Callable[[CommandRequest], Attempt],
        is_stopped: Callable[[], bool],
    ) -> None:
        """`folder` is for their logs and data; `launch` starts a command.

        Once `is_stopped` nothing is waited for any more.
        """
        self._folder = folder
        self._launch = launch
        self._is_stopped = is_stopped
        self._started: dict[str, _Running] = {}
        self._count = 0

    def why_down(
        self, target: Target, cwd: Path, variables: Mapping[str, str], port_base: int
    ) -> str:
        """Start what is not there yet; return which service is down, or an empty text."""
        for number, service in enumerate(target.test.services, 1):
            name = f"{target.name}-{number}"
            request = CommandRequest(
                purpose=Purpose.TEST,
                argv=("sh", "-ec", service.start),
                cwd=cwd,
                folder=self._new_folder(name),
                timeout_s=_RUNS_AT_MOST_S,
                pass_env=target.test.pass_env,
                variables=variables,
                port_base=port_base,
            )
            is_ready = self._ask(service.ready, request) == 0
            if not is_ready and name not in self._started:
                self._started[name] = _Running(service, request, self._launch(request))
            if not is_ready and (problem := self._wait(name)):
                return problem
        return ""

    def _wait(self, name: str) -> str:
        """Wait until a service is ready; return why it is not. One that is not is ended."""
        service, request, _ = self._started[name]
        deadline = Deadline(_READY_TIMEOUT_S)
        while self._ask(service.ready, request) != 0:
            record = read_record(request.folder)
            has_failed = record is not None and (
                record.ending is not CommandEnding.EXITED or record.code != 0
            )
            if has_failed or not deadline.left_s:
                self._end(self._started.pop(name))
                how = "has ended" if has_failed else f"is not ready after {_READY_TIMEOUT_S:.0f} s"
                said = excerpt(_read(request.folder / STDERR) or _read(request.folder / STDOUT))
                return f"the service `{service.start}` {how}: {said or 'it printed nothing'}"
            if self._is_stopped():
                raise Interrupted("stopped before the services were ready")
            time.sleep(_PAUSE_S)  # noqa: TID251 - nothing tells when a server is ready
        return ""

    def close(self) -> None:
        """Stop every service that was started, and what it has left behind."""
        while self._started:
            _, running = self._started.popitem()
            self._end(running)

    def _end(self, running: _Running) -> None:
        if running.service.stop:
            self._ask(running.service.stop, running.request, _STOPPING_TIMEOUT_S)
        running.attempt.cancel()
        running.attempt.wait()

    def _new_folder(self, name: str) -> Path:
        self._count += 1
        return self._folder / f"{name}-{self._count}"

    def _ask(
        self, command: str, request: CommandRequest, timeout_s: float = _ASKING_TIMEOUT_S
    ) -> int:
        """Run a command of a service to its end and return its exit status, or -1."""
        asked = CommandRequest(
            purpose=Purpose.TEST,
            argv=("sh", "-ec", command),
            cwd=request.cwd,
            folder=self._new_folder("asked"),
            timeout_s=timeout_s,
            pass_env=request.pass_env,
            variables=request.variables,
            port_base=request.port_base,
        )
        record: ExitRecord | None = self._launch(asked).wait()
        remove(asked.folder)
        return record.code if record is not None and record.ending is CommandEnding.EXITED else -1


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
