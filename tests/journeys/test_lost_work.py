"""Nothing that a person or an agent made is lost, and nothing that is private is published."""

import os
import shutil
from pathlib import Path

import pytest

from tests.helpers.wild import HEAD, Wild, flow_of

ASKS_FIRST = (
    HEAD
    + """\
      plan: {run: 'true'}
      look: {approval: {ask: 'All right?'}, needs: [plan]}
      work: {run: 'echo "# more" >> src/app.py', writes: [src/**], needs: [look]}
      out: {publish: {}, needs: [work]}
"""
)
ASKS_AFTER = (
    HEAD
    + """\
      work: {run: 'echo "# more" >> src/app.py', writes: [src/**]}
      look: {approval: {ask: 'All right?'}, needs: [work]}
      out: {publish: {}, needs: [look]}
"""
)
KEY = "sk-abcdefghij0123456789zz"
KEPT = {"AGENT_AUTO_CLEANUP": "false"}


def run(wild: Wild, *command: str, code: int, **env: str) -> str:
    done = wild.run(*command, **env)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def waiting(folder: Path, flow: str = ASKS_AFTER) -> tuple[Wild, str]:
    wild = Wild(folder, flow)
    wild.add(".gitignore", "*.local\n")
    run(wild, "trigger_workflow", "main", "an idea", code=3)
    return wild, wild.newest()


def opened(wild: Wild, name: str, *options: str) -> Path:
    return Path(
        run(wild, "pipeline", "open", name, "--print-path", *options, code=0).splitlines()[0]
    )


def rescued(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("state/repos/*/rescued/**/*.patch"))


def test_a_rollback_keeps_the_edits_of_a_run_that_has_made_nothing_yet(tmp_path):
    wild, name = waiting(tmp_path, ASKS_FIRST)
    (opened(wild, name) / "src/mine.py").write_text("hours of work\n")
    assert "rescued" in run(wild, "pipeline", "rollback", name, code=0)
    assert "+hours of work" in rescued(tmp_path)


@pytest.mark.slow
def test_a_rollback_of_a_merged_run_keeps_edits_that_came_late(tmp_path):
    wild, name = waiting(tmp_path)
    folder = opened(wild, name)
    run(wild, "pipeline", "answer", name, "approve", code=0)
    (folder / "src/mine.py").write_text("hours of work\n")
    wild.git("merge", "--quiet", "--ff-only", wild.result()["branch"])
    run(wild, "pipeline", "rollback", name, code=0)
    assert "+hours of work" in rescued(tmp_path)


def test_a_rollback_keeps_what_agents_made_and_no_gate_took(tmp_path):
    wild = Wild(tmp_path, flow_of("echo hours-of-agents > src/x.py; exit 1"))
    run(wild, "trigger_workflow", "main", "an idea", code=1)
    run(wild, "pipeline", "rollback", wild.newest(), code=0)
    assert "+hours-of-agents" in rescued(tmp_path)


def test_opening_a_folder_again_removes_nothing_of_the_persons(tmp_path):
    wild, name = waiting(tmp_path)
    folder = opened(wild, name)
    (folder / "notes.local").write_text("notes\n")
    (folder / "src/app.py").write_text("mine\n")
    wild.at(folder, "-c", "user.name=a", "-c", "user.email=b", "stash")
    assert opened(wild, name) == folder
    assert (folder / "notes.local").read_text() == "notes\n"
    assert "stash@{0}" in wild.at(folder, "stash", "list")
    (folder / "src/app.py").write_text("mine\n")
    opened(wild, name, "--mine")
    assert list(folder.parent.glob("*/notes.local")), "in the folder, or in the one put aside"


@pytest.mark.slow
def test_edits_that_were_taken_in_before_a_kill_block_nothing(tmp_path):
    wild, name = waiting(
        tmp_path, ASKS_FIRST.replace("out: {publish: {}", "last: {approval: {ask: 'Now?'}")
    )
    (opened(wild, name) / "src/app.py").write_text("# mine\n")
    assert (
        wild.run("pipeline", "resume", name, PIPELINE_FAILPOINT="person.recorded").returncode == -9
    )
    for code in (3, 3, 0):  # the first one finds that the tree is another now, and asks again
        run(wild, "pipeline", "answer", name, "approve", code=code)


@pytest.mark.slow
def test_a_link_in_the_place_of_a_folder_is_taken_in(tmp_path):
    wild, name = waiting(tmp_path)
    folder = opened(wild, name)
    shutil.rmtree(folder / "tests")
    (folder / "tests").symlink_to("src")
    run(wild, "pipeline", "resume", name, code=3)
    run(wild, "pipeline", "answer", name, "approve", code=0)
    assert wild.git("ls-tree", wild.result()["head"], "tests").startswith("120000 blob")


def test_a_file_of_the_person_survives_an_agent_that_links_to_its_folder(tmp_path):
    flow = f"""\
      a: {{run: 'rm -r config && ln -s {tmp_path}/repo/config config', writes: ['src/**'], on_failure: continue}}
      b: {{run: 'true', reads: ['src/**'], needs: [a]}}
"""
    wild = Wild(tmp_path, HEAD + flow)
    wild.add(".gitignore", "*.local.yml\n")
    wild.add(".worktreeinclude", "*.local.yml\n")
    wild.add("config/base.yml", "1\n")
    (wild.root / "config/x.local.yml").write_text("the only copy\n")
    wild.run("trigger_workflow", "main", "an idea")
    assert (wild.root / "config/x.local.yml").read_text() == "the only copy\n"


@pytest.mark.slow
def test_clean_keeps_what_a_waiting_run_stands_on(tmp_path):
    wild = Wild(tmp_path, ASKS_AFTER)
    wild.git("gc", "--quiet")
    run(wild, "trigger_workflow", "main", "old", code=3, **KEPT)
    old = wild.newest()
    run(wild, "pipeline", "cancel", old, code=0)
    wild.add("more.txt", "more\n")
    wild.git("gc", "--quiet", "--prune=now")
    run(wild, "trigger_workflow", "main", "an idea", code=3, **KEPT)
    name = wild.newest()
    assert old in run(wild, "pipeline", "clean", "--older-than", "0s", code=0)
    wild.git("reset", "--soft", "HEAD~1")
    wild.git("commit", "--quiet", "--amend", "--message", "squashed")
    wild.git("reflog", "expire", "--expire=now", "--all")
    wild.git("gc", "--quiet", "--prune=now")
    run(wild, "pipeline", "answer", name, "approve", code=0)


@pytest.mark.slow
def test_clean_knows_a_checkout_whose_git_folder_lies_elsewhere(tmp_path):
    wild = Wild(tmp_path, ASKS_AFTER)
    wild.git("init", "--quiet", "--separate-git-dir", str(tmp_path / "elsewhere"))
    run(wild, "trigger_workflow", "main", "an idea", code=3)
    name = wild.newest()
    os.utime(next(tmp_path.glob(f"state/repos/*/runs/{name}")), (0, 0))
    run(wild, "pipeline", "clean", code=0)
    run(wild, "pipeline", "answer", name, "approve", code=0)


@pytest.mark.slow
def test_a_very_deep_folder_does_not_stop_later_runs(tmp_path):
    (tmp_path / "deep.py").write_text(
        "import os\nfor _ in range(1200):\n    os.mkdir('d'); os.chdir('d')\n"
    )
    stages = f"""\
      deep: {{run: 'cd $TMPDIR && python {tmp_path}/deep.py'}}
      last: {{run: 'false', needs: [deep]}}
"""
    wild = Wild(tmp_path, HEAD + stages)
    run(wild, "trigger_workflow", "main", "an idea", code=1)
    first = wild.newest()
    run(wild, "trigger_workflow", "main", "an idea", code=1, AGENT_RUN_RETENTION="0s")
    assert first not in wild.run_ids()
    run(wild, "pipeline", "clean", "--older-than", "0s", code=0)


@pytest.mark.slow
def test_what_a_fork_inherited_outlives_the_run_that_it_came_from(tmp_path):
    stages = """\
      first: {run: 'echo $PIPELINE_RUN_ID a > src/both.py', writes: [src/**]}
      second: {run: 'echo $PIPELINE_RUN_ID b > src/both.py', writes: [src/**], needs: [first]}
      look: {approval: {ask: 'All right?'}, needs: [second]}
      out: {publish: {}, needs: [look]}
"""
    wild = Wild(tmp_path, HEAD + stages)

    def finished() -> str:
        run(wild, "trigger_workflow", "main", "an idea", code=3, **KEPT)
        run(wild, "pipeline", "answer", wild.newest(), "approve", code=0, **KEPT)
        return wild.newest()

    wild.git("gc", "--quiet")
    finished()
    origin = finished()
    wild.add("more.txt", "more\n")
    wild.git("gc", "--quiet", "--prune=now")
    run(wild, "pipeline", "clean", "--older-than", "0s", code=0)
    run(wild, "pipeline", "fork", origin, "--from", "look", code=3, **KEPT)
    fork = wild.newest()
    finished()
    run(wild, "pipeline", "clean", "--older-than", "0s", code=0)
    assert origin not in wild.run_ids()
    run(wild, "pipeline", "retry", fork, "second", code=3, **KEPT)


@pytest.mark.parametrize(
    "command",
    [
        'cd "$PIPELINE_OUTPUT_DIR" && touch "$(printf "caf\\351.txt")"',
        'cd "$PIPELINE_OUTPUT_DIR" && if test $PIPELINE_ATTEMPT = 1; then echo > x; else mkdir x; echo > x/y; fi',
        'printf "# a\\0b plan\\n" > "$PIPELINE_OUTPUT_DIR/plan.md"',
    ],
    ids=["a name that is no text", "a folder where there was a file", "a NUL in the title"],
)
def test_odd_outputs_stop_no_run(tmp_path, command):
    quoted = command.replace("'", "''")
    stages = f"""\
      plan: {{run: '{quoted}'}}
      look: {{approval: {{ask: 'All right?'}}, needs: [plan]}}
      work: {{run: 'echo 1 > src/x.py', writes: [src/**], needs: [look]}}
      out: {{publish: {{}}, needs: [work]}}
"""
    wild = Wild(tmp_path, HEAD + stages)
    run(wild, "trigger_workflow", "main", "an idea", code=3)
    run(wild, "pipeline", "retry", wild.newest(), "plan", code=3)
    run(wild, "pipeline", "answer", wild.newest(), "approve", code=0)


def test_tags_of_the_person_are_not_pushed(tmp_path):
    wild = Wild(tmp_path).with_remote()
    wild.git("config", "push.followTags", "true")
    wild.git("tag", "-a", "-m", "private", "v9-private")
    run(wild, "trigger_workflow", "main", "an idea", code=0)
    assert "v9-private" not in wild.git("ls-remote", "origin")


@pytest.mark.parametrize("text", ["%s", "\\0%s"], ids=["text", "binary"])
def test_a_key_is_found_in_files_of_any_kind(tmp_path, text):
    wild = Wild(tmp_path, flow_of(f"printf '{text}' \"$(cut -d= -f2 .env)\" > src/k.bin"))
    wild.add(".gitignore", ".env\n")
    wild.add(".worktreeinclude", ".env\n")
    (wild.root / ".env").write_text(f"MY_API_KEY={KEY}\n")
    assert "the value of $MY_API_KEY" in run(wild, "trigger_workflow", "main", "an idea", code=1)


@pytest.mark.slow
def test_a_key_that_the_person_changed_meanwhile_is_known_still(tmp_path):
    wild = Wild(
        tmp_path,
        flow_of(
            f"cp .env src/k.txt; printf %s%s MY_API_KEY=another- one-of-theirs > {tmp_path}/repo/.env"
        ),
    )
    wild.add(".gitignore", ".env\n")
    wild.add(".worktreeinclude", ".env\n")
    (wild.root / ".env").write_text(f"MY_API_KEY={KEY}\n")
    told = run(wild, "trigger_workflow", "main", "an idea", code=1)
    assert "the value of $MY_API_KEY stands in src/k.txt" in told
    assert "the value of $MY_API_KEY" in wild.result()["stages"]["work"]["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sha1", "sha256"])
def test_a_copy_of_a_file_that_git_ignores_is_found_in_both_kinds_of_repository(tmp_path, kind):
    wild = Wild(tmp_path, flow_of("cp .env src/settings.txt"))
    shutil.rmtree(wild.root / ".git")
    wild.git("init", "--quiet", "--initial-branch=main", f"--object-format={kind}")
    wild.git("config", "user.name", "A Person")
    wild.git("config", "user.email", "person@example.org")
    (wild.root / ".gitignore").write_text(".env\n")
    (wild.root / ".worktreeinclude").write_text(".env\n")
    (wild.root / ".env").write_text("postgres://admin@db/prod\n")
    wild.commit("Start")
    assert "a copy of a file that git ignores" in run(
        wild, "trigger_workflow", "main", "an idea", code=1
    )


def test_rules_of_git_hold_for_a_stage_that_may_not_read_them(tmp_path):
    reads = flow_of("echo plain >> src/secret.txt; echo x > src/debug.local").replace(
        "writes:", "reads: [src/**], writes:"
    )
    wild = Wild(tmp_path, reads)
    for how in ("clean", "smudge"):
        wild.git("config", f"filter.crypt.{how}", "tr a-z n-za-m")
    wild.add(".gitignore", "*.local\n")
    wild.add(".gitattributes", "src/secret.txt filter=crypt\n")
    wild.add("src/secret.txt", "hidden\n")
    run(wild, "trigger_workflow", "main", "an idea", code=0)
    assert wild.changed() == ["src/secret.txt"]
    assert "plain" not in wild.git("show", f"{wild.result()['head']}:src/secret.txt")
