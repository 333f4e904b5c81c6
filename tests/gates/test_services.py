"""What tests need beside them: variables, and servers that are started, asked and stopped."""

import socket
import sys

from pipeline.core.evidence import GateVerdict
from pipeline.gates import table
from pipeline.gates.testrun import ProblemKind
from pipeline.language.flow import GateName
from pipeline.language.target import Service, Target
from pipeline.language.target import TestCommand as Command
from pipeline.language.words import Glob, Name
from tests.helpers.project import survivors
from tests.helpers.trees import BASE, trees

PORT = 'int(__import__("os").environ["PORT"])'
SERVER = (
    f"exec {sys.executable} -c 'import socketserver; socketserver.TCPServer.allow_reuse_address = 1; "
    f'socketserver.TCPServer(("127.0.0.1", {PORT}), socketserver.BaseRequestHandler)'
    ".serve_forever()'"
)
ASKS = (
    f"{sys.executable} -c 'import socket; "
    f'socket.create_connection(("127.0.0.1", {PORT}), 1).close()\''
)
USES = (
    "import os\nimport socket\n\n\ndef test_it():\n"
    "    socket.create_connection(('127.0.0.1', int(os.environ['PORT'])), 5).close()\n"
)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def target(port: int, *services: Service, pass_env: tuple[str, ...] = ()) -> Target:
    command = Command(
        command="python -m pytest -q",
        services=services,
        env={"PORT": str(port)},
        pass_env=pass_env,
    )
    return Target(
        name=Name("app"), source=(Glob("src/**"),), tests=(Glob("tests/**"),), test=command
    )


def is_listening(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_a_service_is_started_once_and_ends_with_the_bench(tmp_path):
    port = free_port()
    one = target(port, Service(start=f"echo x >> $HOME/../../starts; {SERVER}", ready=ASKS))
    with trees(tmp_path, {**BASE, "tests/test_db.py": USES}, (one,)) as work:
        run = work.bench.run(work.base, one)
        assert (run.problem, run.failing) == (None, [])
        assert work.bench.run(work.base, one, rerun=True).failing == []
        assert is_listening(port)
        work.bench.close()
        assert not is_listening(port)
    starts = next(tmp_path.rglob("starts"))
    assert starts.read_text() == "x\n"


def test_a_service_that_is_down_is_never_red_and_no_failure_of_the_base(tmp_path):
    port = free_port()
    down = Service(start="echo no room >&2; exit 3", ready=ASKS)
    one = target(port, down)
    with trees(tmp_path, {**BASE, "tests/test_db.py": USES}, (one,)) as work:
        base = work.bench.baseline(work.base, one)
        assert base.problem is not None
        assert base.problem.kind is ProblemKind.SERVICE_DOWN
        assert "no room" in base.problem.text
        red = table.check(GateName.RED, work.context(work.plus(tests__test_new="x = 1\n")))
        assert red.verdict is GateVerdict.COULD_NOT_LOOK
        assert "has ended: no room" in red.failures[0]


def test_a_service_that_dies_between_two_runs_is_said_or_started_again(tmp_path):
    port = free_port()
    once = Service(
        start=f"test ! -e $HOME/../../once; touch $HOME/../../once; {SERVER}", ready=ASKS
    )
    one = target(port, once)
    with trees(tmp_path, {**BASE, "tests/test_db.py": USES}, (one,)) as work:
        assert work.bench.run(work.base, one).failing == []
        work.bench.close()
        run = work.bench.run(work.base, one, rerun=True)
        assert run.problem is not None
        assert run.problem.kind is ProblemKind.SERVICE_DOWN


def test_tests_see_the_variables_of_the_flow_and_of_the_person_that_it_names(tmp_path, monkeypatch):
    asks = (
        "import os\n\n\ndef test_it():\n    assert os.environ['PORT'] == '7'\n"
        "    assert os.environ['MY_DATABASE'] == 'here'\n    assert 'MY_TOKEN' not in os.environ\n"
    )
    one = target(7, pass_env=("MY_DATABASE",))
    env = {"MY_DATABASE": "here", "MY_TOKEN": "secret"}
    with trees(tmp_path, {**BASE, "tests/test_env.py": asks}, (one,), **env) as work:
        assert work.bench.run(work.base, one).failing == []
        assert work.bench.own(work.base, one).code == 0


def test_what_a_service_leaves_behind_is_swept(tmp_path):
    port = free_port()
    leaves = Service(start=f"(sleep 86377 &) ; {SERVER}", ready=ASKS)
    one = target(port, leaves)
    with trees(tmp_path, {**BASE, "tests/test_db.py": USES}, (one,)) as work:
        assert work.bench.run(work.base, one).failing == []
        assert any("sleep 86377" in line for line in survivors(tmp_path))
        work.bench.close()
        assert not any("sleep 86377" in line for line in survivors(tmp_path))
