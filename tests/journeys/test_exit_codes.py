"""What a command exits with is what is stored with the run, whatever stopped it, and the reason
with it.
"""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.files import locks
from pipeline.files.clocks import utc_now
from tests.helpers.bare import Bare
from tests.helpers.inside import TARGETS
from tests.helpers.project import wait_for

AGENT = "agents: {says: {prompt: plain.md.j2, command: [sh, agent.sh]}}\n"
REPORTS = """{DO: 'echo "{\\"status\\": \\"%s\\"%s}" > "$PIPELINE_RESULT"; echo x > src/x.py'}"""


def agent(status: str, more: str = "", **stage: str) -> str:
    """A stage whose agent leaves a result with this status."""
    keys = "".join(f", {key}: {value}" for key, value in stage.items())
    return f"      a: {{agent: says, writes: [src/**], env: {REPORTS % (status, more)}{keys}}}\n"


COST = ', \\"cost_usd\\": 2.0'
SITUATIONS = {
    "done": ("", '      a: {run: "true"}\n', 0),
    "failed": ("", '      a: {run: "false"}\n', 1),
    "base_unusable": (
        TARGETS.format(test="python -m pytest -q no-such-folder"),
        '      a: {run: "true", writes: [src/**], gates: [green]}\n',
        2,
    ),
    "setup_failed": ('workspace: {setup: ["exit 3"]}\n', '      a: {run: "true"}\n', 2),
    "answer_wanted": (
        "",
        '      a: {run: "true"}\n      look: {approval: {ask: Is it good?}, needs: [a]}\n',
        3,
    ),
    "limit_reached": (
        f"{AGENT}limits: {{usd: 1}}\n",
        agent("done", COST) + '      b: {run: "true", needs: [a]}\n'
        "      c: {agent: says, writes: [src/**], needs: [b]}\n",
        3,
    ),
    "nothing_to_do": (
        AGENT,
        agent("exists", ', \\"where\\": [\\"src/app.py:2\\"]', may="[decline]"),
        5,
    ),
    "quota_used_up": (AGENT, agent("quota", ', \\"retry_after_s\\": 3600', retry="{quota: 0}"), 75),
}


def bare_of(folder: Path, head: str, stages: str) -> Bare:
    targets = (
        "" if head.startswith("targets") else TARGETS.format(test="python -m pytest -q") + "\n"
    )
    head = head if not head or head.endswith("\n") else f"{head}\n"
    return Bare(folder, f"version: 1\n{targets}{head}workflows:\n  main:\n    stages:\n{stages}")


def require_same(
    bare: Bare, done: "subprocess.CompletedProcess[str]", code: int, stop: str
) -> None:
    result = bare.result()
    assert (done.returncode, result["exit_code"], result["stop"]) == (code, code, stop), (
        done.stdout + done.stderr
    )


@pytest.mark.parametrize("stop", list(SITUATIONS))
def test_the_exit_status_is_the_stored_one(tmp_path: Path, stop: str) -> None:
    head, stages, code = SITUATIONS[stop]
    bare = bare_of(tmp_path, head, stages)
    require_same(bare, bare.run("trigger_workflow", "main", "an idea"), code, stop)


def test_a_refused_push_is_a_usage_problem_printed_and_stored(tmp_path: Path) -> None:
    bare = bare_of(
        tmp_path, AGENT, agent("done") + "      out: {publish: {draft: false}, needs: [a]}\n"
    )
    remote = tmp_path / "remote.git"
    bare.git("clone", "--quiet", "--bare", str(bare.root), str(remote))
    bare.git("remote", "add", "origin", str(remote))
    bare.git("fetch", "--quiet", "origin")
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    require_same(bare, bare.run("trigger_workflow", "main", "an idea"), 2, "publish_refused")


def test_a_lock_that_another_run_holds_is_a_reason_to_try_again(tmp_path: Path) -> None:
    bare = bare_of(
        tmp_path, "locks: {mine: {scope: repo}}\n", '      a: {run: "true", lock: mine}\n'
    )
    folder = bare.root / ".locks"
    folder.mkdir(exist_ok=True)
    with locks.hold(
        [folder / "mine.lock"], run_id="20260101-000000-aaaaaaaa", agent="other", stage="else",
        timeout_s=1, now=utc_now,
    ):  # fmt: skip
        done = bare.run("trigger_workflow", "main", "an idea", AGENT_LOCK_TIMEOUT="0.2")
        require_same(bare, done, 75, "lock_held")


@pytest.mark.parametrize("times", [1, 2], ids=["politely", "at-once"])
def test_an_interrupt_exits_with_130_and_says_so_later(tmp_path: Path, times: int) -> None:
    bare = bare_of(tmp_path, "", '      a: {run: "sleep 2"}\n      b: {run: "true", needs: [a]}\n')
    process = bare.start("trigger_workflow", "main", "an idea")
    wait_for(lambda: bool(bare.run_ids()) and "a" in bare.started(), "a is started")
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    out, err = process.communicate(timeout=60)
    done = subprocess.CompletedProcess([], process.returncode, out, err)
    require_same(bare, done, 130, "interrupted")


def test_a_cancelled_run_exits_with_130(tmp_path: Path) -> None:
    bare = bare_of(tmp_path, "", '      a: {run: "sleep 60"}\n')
    process = bare.start("trigger_workflow", "main", "an idea")
    wait_for(lambda: bool(bare.run_ids()) and "a" in bare.started(), "a is started")
    assert bare.run("pipeline", "cancel", bare.newest()).returncode == 0
    out, err = process.communicate(timeout=60)
    done = subprocess.CompletedProcess([], process.returncode, out, err)
    require_same(bare, done, 130, "cancelled")


@pytest.mark.parametrize("reports", [True, False], ids=["reported", "not-reported"])
def test_a_call_that_was_interrupted_is_not_free(tmp_path: Path, reports: bool) -> None:
    report = 'echo \'{"status": "done", "cost_usd": 1.5}\' > "$PIPELINE_RESULT";'
    do = f"{report if reports else ''} touch ../going; sleep 60".replace('"', '\\"')
    bare = bare_of(
        tmp_path, AGENT, f'      a: {{agent: says, writes: [src/**], env: {{DO: "{do}"}}}}\n'
    )
    process = bare.start("trigger_workflow", "main", "an idea")
    going = tmp_path / "state"
    wait_for(lambda: any(going.rglob("going")), "the agent works")
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    process.communicate(timeout=60)
    result = bare.result()
    assert result["stop"] == "interrupted"
    assert (result["cost_usd"], result["unreported_attempts"]) == (
        (1.5, 0) if reports else (None, 1)
    )
