"""Commits as the repository wants them: worded, signed, signed off, on a branch of its naming; made
once.
"""

import subprocess
from pathlib import Path

import pytest

from tests.helpers.wild import WORK, Wild, flow_of

ALL = f"{WORK}; echo 'def test_x(): pass' > tests/test_new.py; echo page > docs.md"
CHANGED = ["docs.md", "src/app.py", "src/new.py", "tests/test_new.py"]


def subjects(wild: Wild, head: str) -> list[str]:
    return wild.git("log", "--reverse", "--format=%s", f"main..{head}").splitlines()


def test_three_commits_worded_signed_off_and_with_trailers_on_a_branch_of_the_flows_naming(
    tmp_path: Path,
) -> None:
    publish = "{branch: 'bot/{run_id}/{feature}', trailers: {Change-Kind: agent}}"
    wild = Wild(tmp_path, flow_of(ALL, "**", publish))
    (wild.root / "CODEOWNERS").write_text("* @everyone\n/src/ @core\n")
    for subject in ("api: a", "app: b", "api: c", "app: d", "web: e"):
        wild.git("commit", "--quiet", "--allow-empty", "--signoff", "-m", subject)
    wild.commit("web: owners\n\nSigned-off-by: X <x@y>")
    wild.publish()
    head = wild.published(CHANGED)
    assert subjects(wild, head) == ["app: an idea (tests)", "app: an idea", "app: an idea (docs)"]
    run = wild.newest()
    assert wild.result()["branch"] == f"bot/{run}/an-idea"
    message = wild.git("log", "-1", "--format=%(trailers)", head)
    assert f"Run-Id: {run}" in message
    assert "Change-Kind: agent" in message
    assert "Signed-off-by: A Person <person@example.org>" in message
    body = (wild.root / "docs" / "status" / "runs" / run / "pr_body.md").read_text()
    assert "- `@core`: `src/app.py`, `src/new.py`" in body
    assert "- `@everyone`: `docs.md`, `tests/test_new.py`" in body


def signing(wild: Wild, folder: Path) -> None:
    """Have commits signed by a key of ssh, as a person would set it up."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(key)], check=True)
    (folder / "signers").write_text(f"person@example.org {key.with_suffix('.pub').read_text()}")
    wild.git("config", "gpg.format", "ssh")
    wild.git("config", "gpg.ssh.allowedSignersFile", str(folder / "signers"))
    wild.git("config", "user.signingkey", str(key))
    wild.git("config", "commit.gpgsign", "true")


@pytest.mark.parametrize(
    "name",
    [
        "branch.composed",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("branch.set", "push.done")),
    ],
)
def test_signed_commits_are_made_once_whatever_is_killed(tmp_path: Path, name: str) -> None:
    wild = Wild(tmp_path).with_remote()
    signing(wild, tmp_path)
    wild.publish("trigger_workflow", "main", "an idea", code=-9, PIPELINE_FAILPOINT=name)
    store = next((tmp_path / "state" / "repos").glob("*/store.git"))
    made = wild.git(
        "--git-dir", str(store), "for-each-ref", "--format=%(objectname)", "refs/runs/*/composed/*"
    )
    wild.publish("pipeline", "resume", wild.newest())
    head = wild.published()
    assert made == head
    assert wild.git("log", "--format=%G?", f"main..{head}").split() == ["G"]


@pytest.mark.slow
def test_a_signer_that_fails_stops_the_run_and_loses_nothing(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    signing(wild, tmp_path)
    (tmp_path / "key").rename(tmp_path / "away")
    done = wild.publish(code=2)
    run = wild.newest()
    assert "git could not sign a commit" in done.stderr
    assert f"pipeline resume {run}" in done.stderr
    (tmp_path / "away").rename(tmp_path / "key")
    wild.publish("pipeline", "resume", run)
    assert wild.git("log", "-1", "--format=%G?", wild.published()) == "G"
    assert wild.started().count("work") == 1


@pytest.mark.slow
def test_a_flow_can_say_never_to_signing_and_always_to_signing_off(tmp_path: Path) -> None:
    wild = Wild(tmp_path, flow_of(publish="{sign: never, signoff: always, style: plain}"))
    signing(wild, tmp_path)
    wild.publish()
    head = wild.published()
    assert wild.git(
        "log", "-1", "--format=%s|%G?|%(trailers:key=Signed-off-by,valueonly)", head
    ) == ("An idea|N|A Person <person@example.org>")


def test_nobody_can_sign_off_without_a_name(tmp_path: Path) -> None:
    wild = Wild(tmp_path, flow_of(publish="{signoff: always}"))
    wild.git("config", "--unset", "user.name")
    done = wild.publish(code=2)
    assert "git config user.name" in done.stderr
    assert wild.run_ids() == []
