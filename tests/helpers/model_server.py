"""A model on loopback that plays a script to real agents, over the Anthropic Messages API.

No real end point, no key, no state: which turn of which script comes next is worked out from each
request alone, so many agents can share one server. It speaks what Claude Code 2.1.329 reads.

    work = [[Call("Write", file_path=f"{CWD}/hello.txt", content="hello")], [Say("done")]]
    with ModelServer({"You are the developer": work}) as server:
        ...  # run `claude -p` with ANTHROPIC_BASE_URL=server.base_url
    assert server.faults == ()
"""

from __future__ import annotations

import itertools
import json
import re
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeAlias

CWD = "@CWD@"
"""Stands for the agent's working directory anywhere in the text or input of a block."""

EXTRA_TEXT = "ok"
"""The answer to a request that is none of the script's: a title, a summary, a topic."""
_FAULT_STATUS = 418  # Claude Code asks again, up to six times, after 400 or 422; after 418 it stops
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>\s*", re.DOTALL)
_DIRECTORY = re.compile(r"(?im)^[\s*-]*(?:(?:primary )?working directory|cwd):[ \t]*(/.*?)[ \t]*$")
_USAGE = {"input_tokens": 10, "output_tokens": 5}
_MESSAGE = {"type": "message", "role": "assistant", "stop_sequence": None, "usage": _USAGE}


class ScriptError(Exception):
    """The script has no answer to a request; the agent is told so and ends with an error."""


@dataclass(frozen=True)
class Say:
    """The model says `text`; a turn of nothing else ends the agent's run."""

    text: str


@dataclass(frozen=True, init=False)
class Call:
    """The model calls `tool`; the keywords are its input, and an agent refuses unknown ones."""

    tool: str
    input: Mapping[str, object]

    def __init__(self, tool: str, /, **tool_input: object) -> None:
        object.__setattr__(self, "tool", tool)
        object.__setattr__(self, "input", tool_input)


Request: TypeAlias = Mapping[str, Any]
Block: TypeAlias = Say | Call
Answer: TypeAlias = Callable[[Request], Sequence[Block]]
Turn: TypeAlias = Sequence[Block] | Answer
Script: TypeAlias = Mapping[str, Sequence[Turn]]


@dataclass(frozen=True)
class Served:
    """One posted request and the turn that answered it: None for an extra one and for a fault."""

    path: str
    request: Request
    marker: str | None = None
    turn: int | None = None
    fault: str | None = None


def prompt(request: Request) -> str:
    """The text of the first user message, without the reminders an agent wraps around it."""
    for message in request.get("messages", ()):
        if message["role"] == "user":
            return _REMINDER.sub("", _text(message["content"]))
    return ""


def turn_index(request: Request) -> int:
    """How many times the model has answered so far; a resumed conversation counts on."""
    # Neighbours are one answer. Claude Code also sends messages of role "system" in between.
    roles = (message["role"] for message in request.get("messages", ()))
    answers = itertools.groupby(role for role in roles if role != "system")
    return sum(role == "assistant" for role, _ in answers)


def tool_results(request: Request) -> list[str]:
    """The texts of all tool results so far, failures too; those of one turn in any order."""
    return [
        _text(block.get("content", ""))
        for message in request.get("messages", ())
        if message["role"] == "user" and not isinstance(message["content"], str)
        for block in message["content"]
        if block["type"] == "tool_result"
    ]


def working_directory(request: Request) -> str:
    """The absolute path the agent says it works in; ScriptError when it says none."""
    # Its place differs: the system prompt with --bare, a message of role "system" without.
    messages = request.get("messages", ())
    told = [message for message in messages if message["role"] == "system"]
    places = [request.get("system", ""), *(message["content"] for message in (*told, *messages))]
    for place in places:
        if found := _DIRECTORY.search(_text(place)):
            return found[1]
    raise ScriptError("the request names no working directory; look at the `request` in `served`")


class ModelServer:
    """The server, alive inside its `with` block.

    `script`: turns by marker, chosen by the first (in the mapping's order) found in the prompt;
    or turns for every prompt; or a callable asked for every turn. A request that offers no tools,
    or not those its script calls, is an extra one and gets EXTRA_TEXT. One that has tools but
    matches no marker, or asks for a turn too many, is a fault and ends the agent with an error.
    """

    def __init__(self, script: Script | Sequence[Turn] | Answer) -> None:
        self._script = {"": script} if isinstance(script, Sequence) else script
        self._served: list[Served] = []  # many threads append; append and tuple() are atomic
        self._numbers = itertools.count(1)
        self._listener = _Listener(self)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()

    @property
    def base_url(self) -> str:
        """Where to point the agent: no trailing slash, no /v1."""
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    @property
    def served(self) -> tuple[Served, ...]:
        """The posted requests so far, in the order of their answers; token counts included."""
        return tuple(self._served)

    @property
    def faults(self) -> tuple[str, ...]:
        """What the script could not answer; a test of a good run asserts that it is empty."""
        return tuple(one.fault for one in self.served if one.fault is not None)

    def played(self) -> list[tuple[str, int]]:
        """The (marker, turn) pairs served by the script, in order."""
        pairs = ((one.marker, one.turn) for one in self.served)
        return [(marker, turn) for marker, turn in pairs if marker is not None and turn is not None]

    def answer(self, path: str, request: Request) -> tuple[int, dict[str, Any]]:
        """The status and the body for a posted request; recorded in `served`."""
        if path != "/v1/messages":  # a token count, or whatever else an agent reports
            self._served.append(Served(path, request))
            return 200, {"input_tokens": len(json.dumps(request)) // 4 + 1}
        try:
            marker, blocks = self._blocks(request)
            message = self._message(request, blocks)
        except Exception as error:  # noqa: BLE001 -- agents retry for minutes without an answer
            fault = f"test script: {type(error).__name__}: {error}"
            self._served.append(Served(path, request, fault=fault))
            detail = {"type": "invalid_request_error", "message": fault}
            return _FAULT_STATUS, {"type": "error", "error": detail}
        turn = None if marker is None else turn_index(request)
        self._served.append(Served(path, request, marker, turn))
        return 200, message

    def _blocks(self, request: Request) -> tuple[str | None, Sequence[Block]]:
        extra = (None, [Say(EXTRA_TEXT)])
        offered = {tool.get("name") for tool in request.get("tools", ())}
        if not offered:
            return extra
        if not isinstance(self._script, Mapping):
            return "", self._script(request)
        text, index = prompt(request), turn_index(request)
        marker = next((marker for marker in self._script if marker in text), None)
        if marker is None:
            raise ScriptError(f"no marker of the script is in the prompt {text[:200]!r}")
        turns = self._script[marker]
        if not _tools(turns) <= offered:
            return extra
        if index >= len(turns):
            raise ScriptError(f"{marker!r} has {len(turns)} turns, asked for number {index + 1}")
        turn = turns[index]
        return marker, turn(request) if callable(turn) else turn

    def _message(self, request: Request, blocks: Sequence[Block]) -> dict[str, Any]:
        if not blocks:
            raise ScriptError("a turn needs at least one Say or Call")
        number = next(self._numbers)
        content = _content(blocks, request, number)
        stop = "tool_use" if any(isinstance(block, Call) for block in blocks) else "end_turn"
        named = {"id": f"msg_{number}", "model": request.get("model", "scripted")}
        return {**_MESSAGE, **named, "content": content, "stop_reason": stop}


class _Listener(ThreadingHTTPServer):
    request_queue_size = 128  # the default of 5 makes parallel agents wait for a second
    daemon_threads = False  # so that server_close waits for the answers under way

    def __init__(self, model: ModelServer) -> None:
        self.model = model
        super().__init__(("127.0.0.1", 0), _Door)

    def server_bind(self) -> None:
        # HTTPServer's own looks its name up in the DNS, which can take seconds.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):  # of a killed agent
            super().handle_error(request, client_address)


class _Door(BaseHTTPRequestHandler):
    # Nothing in here may be called `responses`: the base class keeps its reason phrases there.
    server: _Listener
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds for a silent connection, so that one cannot hold up server_close

    def do_HEAD(self) -> None:
        self._send(200, b"")

    def do_GET(self) -> None:
        self._send(200, b'{"data": [], "has_more": false}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = json.loads(body or b"{}")
        status, reply = self.server.model.answer(self.path.partition("?")[0], request)
        if status == 200 and reply.get("type") == "message" and request.get("stream"):
            self._send(200, b"".join(_events(reply)), kind="text/event-stream")
        else:
            self._send(status, json.dumps(reply).encode())

    def _send(self, status: int, body: bytes, *, kind: str = "application/json") -> None:
        self.send_response_only(status)  # unlike send_response, it logs nothing
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _text(content: str | Sequence[Mapping[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block["type"] == "text")


def _tools(turns: Sequence[Turn]) -> set[str]:
    written = [turn for turn in turns if not callable(turn)]
    return {block.tool for turn in written for block in turn if isinstance(block, Call)}


def _content(blocks: Sequence[Block], request: Request, number: int) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for block in blocks:
        match block:
            case Say(text):
                content.append({"type": "text", "text": text})
            case Call(tool, given):
                name = f"toolu_{number}_{len(content)}"
                content.append({"type": "tool_use", "id": name, "name": tool, "input": given})
    written = json.dumps(content)
    if CWD in written:
        written = written.replace(CWD, json.dumps(working_directory(request))[1:-1])
    placed: list[dict[str, Any]] = json.loads(written)
    return placed


def _events(message: Mapping[str, Any]) -> Iterator[bytes]:
    yield _event("message_start", message={**message, "content": [], "stop_reason": None})
    empty: dict[str, object]
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            empty, delta = {"text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            part = json.dumps(block["input"])
            empty, delta = {"input": {}}, {"type": "input_json_delta", "partial_json": part}
        yield _event("content_block_start", index=index, content_block={**block, **empty})
        yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=stop, usage=message["usage"])
    yield _event("message_stop")


def _event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
