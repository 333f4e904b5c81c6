"""What runs leave behind is taken away in time; nothing that anyone needs goes with it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.wild import CHANGED, Wild, flow_of

FAILING = flow_of() + "      last: {run: 'false', needs: [work]}\n"


def ran(wild: Wild, code: int = 0, **env: str) -> str:
    done = wild.run("trigger_workflow", "main", "an idea", **{"AGENT_AUTO_CLEANUP": "false", **env})
    assert done.returncode == code, done.stderr
    return wild.newest()


def cleaned(wild: Wild, *options: str) -> dict[str, dict[str, dict[str, object]]]:
    """What `pipeline clean` says, by run."""
    done = wild.run("pipeline", "clean", "--json", *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {key: {one["run_id"]: one for one in found[key]} for key in ("removed", "kept")}


def store_of(wild: Wild) -> Path:
    return next((wild.root.parent / "state" / "repos").glob("*/store.git"))


@pytest.mark.slow
def test_published_runs_that_are_over_for_long_go_and_the_latest_and_young_stay(
    tmp_path: Path,
) -> None:
    wild = Wild(tmp_path).with_remote()
    first, second = ran(wild), ran(wild)
    assert cleaned(wild) == {
        "removed": {},
        "kept": {
            run: {"run_id": run, "reason": "it was worked on lately"} for run in (first, second)
        },
    }
    assert list(cleaned(wild, "--older-than", "0s", "--dry-run")["removed"]) == [first]
    assert wild.run_ids() == sorted([first, second])
    before = wild.git("for-each-ref")
    done = cleaned(wild, "--older-than", "0s")
    assert list(done["removed"]) == [first]
    assert done["removed"][first]["rescued"] is None
    assert done["kept"][second]["reason"] == "docs/status/latest points to it"
    assert wild.run_ids() == [second]
    assert not list((tmp_path / "state" / "repos").glob(f"*/runs/{first}"))
    assert wild.git("for-each-ref") == before
    assert first not in wild.git("--git-dir", str(store_of(wild)), "for-each-ref")


@pytest.mark.slow
def test_a_run_that_can_go_on_stays_however_old(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    run = ran(wild, -9, PIPELINE_FAILPOINT="stage.recorded@work")
    ran(wild)
    assert f"pipeline resume {run}" in str(
        cleaned(wild, "--older-than", "0")["kept"][run]["reason"]
    )
    assert wild.run("pipeline", "resume", run).returncode == 0


def test_unpublished_work_is_kept_as_a_ref_and_as_patches_that_bring_it_back(
    tmp_path: Path,
) -> None:
    wild = Wild(
        tmp_path, FAILING.replace("needs: [work]}\n      last", "needs: [last]}\n      last")
    )
    run = ran(wild, 1)
    rescued = cleaned(wild, "--older-than", "0s")["removed"][run]["rescued"]
    assert isinstance(rescued, dict)
    wild.git("config", "gc.auto", "0")
    subprocess.run(
        ["sh", "-c", rescued["restore"]],
        cwd=wild.root,
        env=wild.env,
        check=True,
        capture_output=True,
    )
    assert wild.git("diff", "--name-only", "main", f"rescued-{run}").splitlines() == CHANGED
    wild.git("apply", "--check", f"{rescued['folder']}/change.patch")
    assert list(Path(rescued["folder"]).glob("patches/work.1.patch"))


@pytest.mark.slow
def test_work_whose_branch_is_gone_from_the_remote_counts_as_unpublished(tmp_path: Path) -> None:
    wild = Wild(tmp_path).with_remote()
    run, other = ran(wild), ran(wild)
    branch = json.loads((wild.root / f"docs/status/runs/{run}/branch_info.json").read_text())[
        "branch"
    ]
    wild.git("push", "--quiet", "origin", f":{branch}")
    assert cleaned(wild, "--older-than", "0s")["removed"][run]["rescued"]
    assert wild.run_ids() == [other]


@pytest.mark.slow
def test_a_run_cleans_up_when_it_starts_and_says_so_in_one_line(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    first = ran(wild, AGENT_RUN_RETENTION="0s")
    second = ran(wild, AGENT_RUN_RETENTION="0s")
    assert {first, second} <= set(wild.run_ids())
    folder = next((tmp_path / "state" / "repos").glob("*/runs"))
    left = folder / "20200102-030405-0a1b2c3d"
    left.mkdir()
    os.utime(left, (0, 0))
    done = wild.run("trigger_workflow", "main", "an idea", AGENT_RUN_RETENTION="0s")
    assert [line for line in done.stderr.splitlines() if "removed 2 run(s)" in line], done.stderr
    assert set(wild.run_ids()) == {second, wild.newest()}, (
        "the latest stays, until this one is done"
    )
    assert not left.exists()


@pytest.mark.slow
def test_working_folders_of_another_worktree_are_not_touched(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    run = ran(wild)
    wild.git("worktree", "add", "--quiet", str(tmp_path / "other"))
    done = wild.run(
        "pipeline", "clean", "--older-than", "0s", "--json", "-C", str(tmp_path / "other")
    )
    assert json.loads(done.stdout)["removed"] == []
    assert list((tmp_path / "state" / "repos").glob(f"*/runs/{run}"))


def test_rollback_keeps_what_it_takes_away_and_says_where(tmp_path: Path) -> None:
    wild = Wild(tmp_path).with_remote()
    run = ran(wild)
    head = wild.result()["head"]
    done = wild.run("pipeline", "rollback", run)
    assert done.returncode == 0
    assert f"refs/rescued/{run}:refs/heads/rescued-{run}" in done.stderr
    assert wild.git("--git-dir", str(store_of(wild)), "rev-parse", f"refs/rescued/{run}") == head
    assert list((tmp_path / "state").glob(f"repos/*/rescued/{run}/change.patch"))


def test_a_bad_age_is_named(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    done = wild.run("pipeline", "clean", "--older-than", "soon")
    assert (done.returncode, "--older-than is 'soon'" in done.stderr) == (2, True)
    done = wild.run("pipeline", "list", AGENT_RUN_RETENTION="soon")
    assert (done.returncode, "AGENT_RUN_RETENTION is 'soon'" in done.stderr) == (2, True)


@pytest.mark.slow
def test_packs_that_only_the_store_has_go_and_rescued_work_stays(tmp_path: Path) -> None:
    wild = Wild(
        tmp_path, FAILING.replace("needs: [work]}\n      last", "needs: [last]}\n      last")
    )
    wild.git("gc", "--quiet")
    run = ran(wild, 1)
    wild.add("more.txt", "more\n")
    wild.git("gc", "--quiet", "--prune=now")
    packs = store_of(wild) / "objects" / "pack"
    old = {path for path in packs.glob("*.pack") if path.stat().st_nlink == 1}
    assert old
    cleaned(wild, "--older-than", "0s")
    assert not old & set(packs.glob("*.pack"))
    git = shutil.which("git") or "git"
    shown = subprocess.run(
        [git, "--git-dir", store_of(wild), "fsck", "--connectivity-only", f"refs/rescued/{run}"],
        check=False,
    )
    assert shown.returncode == 0
