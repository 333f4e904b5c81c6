"""Keys: an agent sees the one it is given and no other, and none comes out again."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import canary
from tests.helpers.project import Project

KEY = "sk-ant-canary-5e1f0c9b7a"
PUSH = "ghp_canary_that_no_agent_may_see"


def with_key(project: Project) -> None:
    project.edit_flow("pass_env: [HOME, USER, ", "pass_env: [MODEL_API_KEY, ")


def written(project: Project) -> bytes:
    """Every byte that the pipeline wrote anywhere, but for what the agents' own scripts hold."""
    out = b""
    for folder in folders(project):
        for path in sorted(folder.rglob("*")) if folder.exists() else []:
            if path.is_file() and not path.is_symlink():
                out += path.read_bytes()
    return out


def folders(project: Project) -> tuple[Path, ...]:
    """The checkout, the remote, its pull requests, and the state."""
    pulls = project.remote.with_name("trading.pulls")
    return (project.root, project.remote, pulls, project.folder / "state")


def assert_nowhere(project: Project, secret: str, *processes: Any) -> None:
    """Nothing that was written or printed has the secret in any form."""
    assert (project.folder / "state").is_dir(), "the state lies elsewhere"
    assert canary.places(secret, *folders(project)) == []
    for process in processes:
        said = (process.stdout + process.stderr).encode()
        assert not [form for form, value in canary.forms(secret).items() if value in said]


def test_agents_see_no_credential_but_the_key_that_the_flow_names(project):
    with_key(project)
    seen = project.folder / "seen.json"
    project.script(
        "planner", 1, f"import json, os; json.dump(dict(os.environ), open({str(seen)!r}, 'w'))"
    )
    env = {
        "MODEL_API_KEY": KEY,
        "GITHUB_TOKEN": PUSH,
        "GH_TOKEN": PUSH,
        "SSH_AUTH_SOCK": "/tmp/agent.sock",
        "AWS_SECRET_ACCESS_KEY": PUSH,
    }
    assert project.trigger("an idea", **env).returncode == 0
    environ = json.loads(seen.read_text())
    assert environ["MODEL_API_KEY"] == KEY
    assert PUSH not in environ.values()
    assert "SSH_AUTH_SOCK" not in environ
    assert Path(environ["HOME"]) != project.home, (
        "a home of its own, unless the flow passes the person's"
    )
    assert environ["PIPELINE_RUN_ID"] == project.run_ids()[0]


@pytest.mark.slow
def test_a_key_that_an_agent_prints_is_in_no_log_and_no_pull_request(project):
    with_key(project)
    for stage in ("planner", "developer", "verify"):
        project.script(
            stage,
            1,
            "import os, sys; print(os.environ['MODEL_API_KEY']); "
            "print(os.environ['MODEL_API_KEY'], file=sys.stderr)",
        )
    assert project.trigger("an idea", MODEL_API_KEY=KEY).returncode == 0
    assert "[secret]" in (project.run_dir() / "planner" / "answer.md").read_text()
    assert KEY.encode() not in written(project)


@pytest.mark.slow
def test_a_key_that_an_agent_writes_into_its_result_is_taken_out(project):
    with_key(project)
    code = "import json, os; json.dump({'status': 'done', 'summary': 'used ' + os.environ['MODEL_API_KEY'], 'model': 'm'}, "
    project.script("coordinator", 1, code + "open(os.environ['PIPELINE_RESULT'], 'w'))")
    assert project.trigger("an idea", MODEL_API_KEY=KEY).returncode == 0
    assert "used [MODEL_API_KEY]" in (project.run_dir() / "coordinator" / "answer.md").read_text()
    assert KEY.encode() not in written(project)


def test_a_key_that_an_agent_writes_into_a_file_stops_the_stage_and_is_not_committed(project):
    with_key(project)
    project.script_every_try(
        "developer",
        "import os; open('src/trading/key.py', 'w').write(os.environ['MODEL_API_KEY'])",
    )
    assert project.trigger("an idea", MODEL_API_KEY=KEY).returncode == 1
    assert "the value of $MODEL_API_KEY" in project.result()["stages"]["developer"]["reason"]
    assert list(project.remote_refs()) == ["refs/heads/main"]
    assert KEY not in (project.run_dir() / "pipeline.log").read_text()
    assert not list((project.run_dir() / "patches").glob("developer*"))


@pytest.mark.slow
def test_a_key_deep_in_a_large_output_stops_the_stage_as_well(project):
    with_key(project)
    code = "import os; path = os.environ['PIPELINE_OUTPUT_DIR'] + '/notes.txt'; "
    code += "open(path, 'w').write('x' * 3_000_000 + os.environ['MODEL_API_KEY'] + 'x' * 3_000_000)"
    project.script_every_try("planner", code)
    assert project.trigger("an idea", MODEL_API_KEY=KEY).returncode == 1
    assert "the value of $MODEL_API_KEY" in project.result()["stages"]["planner"]["reason"]
    assert not (project.run_dir() / "planner" / "notes.txt").exists()


def test_a_flow_that_would_hand_out_a_push_credential_is_refused(project):
    project.edit_flow("pass_env: [HOME, USER, ", "pass_env: [GITHUB_TOKEN, ")
    process = project.trigger("an idea", GITHUB_TOKEN=PUSH)
    assert process.returncode == 2
    assert (
        "GITHUB_TOKEN would give an agent the credentials that publishing needs" in process.stderr
    )


SECRET = 'k"y/canary+5e1f0c9b7a d2'
"""With characters that URLs and JSON escape."""

NAME = "canary-5e1f0c9b7ad2"
TOKEN = "ghp_" + "q7Zr2Lm9Xc4V" * 3
READ = "import base64, json, os, sys, urllib.parse; key = os.environ['MODEL_API_KEY']; "
RESULT = "json.dump({0}, open(os.environ['PIPELINE_RESULT'], 'w'))"
SOURCE = "open('src/trading/key.py', 'w').write({0})"


def test_nothing_that_a_person_or_an_agent_says_or_prints_keeps_a_secret(project):
    with_key(project)
    netrc = "net-canary-77aa01"
    (project.home / ".netrc").write_text(f"machine example.org login me password {netrc}\n")
    unpassed, address = "unpassed-canary-41", "address-canary-93"
    project.git("remote", "add", "mirror", f"https://me:{address}@example.org/x.git")
    code = READ + (
        f"netrc = open({str(project.home / '.netrc')!r}).read(); print(netrc); "
        "print(base64.encodebytes(b'-' * 50 + netrc.encode()).decode()); "
        f"print('the person has {unpassed}', file=sys.stderr); "
        f"os.system({'git -C ' + str(project.root) + ' config --get-regexp remote'!r}); "
        "open('src/trading/left.pyc', 'w').write(key); "
        "open(os.environ['HOME'] + '/cache', 'w').write(key); "
        "os.system('git add -f src/trading/left.pyc; git commit -m \"' + netrc + '\"'); "
        + RESULT.format("{'status': 'done', 'summary': key + unpassed, 'model': key}")
    )
    for stage in ("coordinator", "developer"):
        project.script(stage, 1, f"unpassed = {unpassed!r}; {code}")
    idea = f"{NAME} limits {SECRET} by {unpassed}"
    env = {"MODEL_API_KEY": SECRET, "OTHER_TOKEN": unpassed, "MORE_PASSWORD": NAME}
    done = project.trigger(idea, **env)
    assert done.returncode == 0, done.stderr
    shown = [
        project.run("pipeline", *words, project.run_ids()[0]) for words in (["show"], ["logs"])
    ]
    log = next((project.folder / "state").rglob("attempts/coordinator/1/stdout.log")).read_text()
    assert "machine example.org" in log
    for secret in (SECRET, NAME, netrc, unpassed, address):
        if secret == address:  # it stands in the person's own configuration
            (project.root / ".git" / "config").unlink()
        assert_nowhere(project, secret, done, *shown)


LEAKS = {
    "a file": SOURCE.format("key"),
    "base64": SOURCE.format("'x = ' + base64.b64encode(b'ab' + key.encode() + b'z').decode()"),
    "base64 lines": SOURCE.format("base64.encodebytes(b'-' * 41 + key.encode() * 2).decode()"),
    "a URL": SOURCE.format("'?key=' + urllib.parse.quote(key)"),
    "JSON": SOURCE.format("json.dumps(json.dumps([key]))"),
    "a file's name": "open('src/trading/' + os.environ['OTHER_TOKEN'] + '.py', 'w').write('')",
    "a link": "os.symlink(os.environ['OTHER_TOKEN'], 'src/trading/link.py')",
    "an output": "open(os.environ['PIPELINE_OUTPUT_DIR'] + '/a.txt', 'w').write(key)",
    "an output's name": (
        "open(os.environ['PIPELINE_OUTPUT_DIR'] + '/' + os.environ['OTHER_TOKEN'], 'w').write('')"
    ),
    "a failure": RESULT.format("{'status': 'failed', 'summary': 'no ' + key}"),
    "an exit": "sys.exit('cannot use ' + key)",
}


@pytest.mark.slow
@pytest.mark.parametrize("leak", LEAKS)
def test_what_is_refused_for_a_secret_stays_nowhere(project, leak):
    with_key(project)
    project.edit_flow("pass_env: [MODEL_API_KEY, ", "pass_env: [OTHER_TOKEN, MODEL_API_KEY, ")
    project.script_every_try("developer", READ + LEAKS[leak])
    done = project.trigger("an idea", MODEL_API_KEY=SECRET, OTHER_TOKEN=NAME)
    assert done.returncode == 1, done.stderr
    reason = project.result()["stages"]["developer"]["reason"]
    names = {"an exit": "[secret]", "a failure": "[MODEL_API_KEY]"}
    other = leak in {"a file's name", "an output's name", "a link"}
    assert names.get(leak, f"the value of ${'OTHER_TOKEN' if other else 'MODEL_API_KEY'}") in reason
    for secret in (SECRET, NAME):
        assert_nowhere(project, secret, done)


def test_a_question_of_an_agent_and_the_answer_to_it_keep_no_secret(project):
    with_key(project)
    said = "{'status': 'questions', 'questions': ['is it ' + key + '?']}"
    project.script("planner", 1, READ + RESULT.format(said))
    asked = project.trigger("an idea", MODEL_API_KEY=SECRET)
    assert asked.returncode == 3, asked.stderr
    words = ("answer", project.run_ids()[0], "-m", f"yes, {SECRET}", "--later")
    answered = project.run("pipeline", *words, MODEL_API_KEY=SECRET)
    assert answered.returncode == 0, answered.stderr
    assert_nowhere(project, SECRET, asked, answered)
    assert "is it [MODEL_API_KEY]?" in (project.run_dir() / "journal.jsonl").read_text()


@pytest.mark.slow
def test_a_secret_that_the_base_holds_anyway_is_none(project):
    with_key(project)
    (project.root / "README.md").write_text("use the key test-key-for-all\n")
    project.git("commit", "--quiet", "-am", "Say which key")
    project.git("push", "--quiet", "origin", "main")
    code = "open('src/trading/key.py', 'w').write('KEY = \"' + key + '\"\\n'); print(key)"
    project.script("developer", 1, READ + code)
    done = project.trigger("an idea", MODEL_API_KEY="test-key-for-all")
    assert done.returncode == 0, done.stderr
    log = next((project.folder / "state").rglob("attempts/developer/1/stdout.log")).read_text()
    assert "test-key-for-all" in log


@pytest.mark.slow
def test_what_looks_like_a_token_waits_for_a_person_before_it_is_published(project):
    made_up = "ghp_" + "x" * 36
    code = f"open('src/trading/key.py', 'w').write('# {made_up}\\n# {TOKEN}\\n')"
    project.script("developer", 1, code)
    done = project.trigger("an idea")
    assert done.returncode == 3, done.stderr
    run = project.run_ids()[0]
    assert "src/trading/key.py:2 looks like a GitHub token" in done.stderr
    assert f"pipeline answer {run} allow src/trading/key.py" in done.stderr
    assert TOKEN not in done.stderr + (project.run_dir() / "pipeline.log").read_text()
    assert list(project.remote_refs()) == ["refs/heads/main"]
    again = project.run("pipeline", "resume", run)
    assert again.returncode == 3, again.stderr
    wrong = project.run("pipeline", "answer", run, "allow", "src/trading/other.py")
    assert wrong.returncode == 2
    assert f"pipeline answer {run} allow src/trading/key.py" in wrong.stderr
    allowed = project.run("pipeline", "answer", run, "allow", "src/trading/key.py")
    assert allowed.returncode == 0, allowed.stderr
    assert len(project.remote_refs()) == 2
    assert "src/trading/key.py may be published" in (project.run_dir() / "pipeline.log").read_text()
    assert "token_allowed" in (project.run_dir() / "journal.jsonl").read_text()


@pytest.mark.slow
def test_what_was_allowed_in_one_tree_is_asked_again_in_another(project):
    write = f"open('src/trading/key.py', 'w').write('# {TOKEN}\\n')"
    project.script("developer", 1, write)
    assert project.trigger("an idea").returncode == 3
    run = project.run_ids()[0]
    words = ("answer", run, "allow", "src/trading/key.py", "--later")
    assert project.run("pipeline", *words).returncode == 0
    folder = Path(project.run("pipeline", "open", run).stdout.strip())
    (folder / "src" / "trading" / "key.py").write_text(f"# edited\n# {TOKEN}\n")
    again = project.run("pipeline", "resume", run)
    assert again.returncode == 3, again.stderr
    assert "src/trading/key.py:2 looks like a GitHub token" in again.stderr
    assert list(project.remote_refs()) == ["refs/heads/main"]
    folder = Path(project.run("pipeline", "open", run).stdout.strip())
    (folder / "src" / "trading" / "key.py").write_text("# taken out\n")
    done = project.run("pipeline", "resume", run)
    assert done.returncode == 0, done.stderr
    assert len(project.remote_refs()) == 2


@pytest.mark.slow
def test_a_secret_that_a_person_edited_in_is_named_and_not_taken_in(project):
    project.script("developer", 1, f"open('src/trading/key.py', 'w').write('# {TOKEN}\\n')")
    assert project.trigger("an idea").returncode == 3
    run = project.run_ids()[0]
    folder = Path(project.run("pipeline", "open", run).stdout.strip())
    (folder / "src" / "trading" / "key.py").write_text(f"# {NAME}\n")
    done = project.run("pipeline", "resume", run, MODEL_API_KEY=NAME)
    assert done.returncode == 2, done.stderr
    assert "the value of $MODEL_API_KEY stands in src/trading/key.py" in done.stderr
    assert canary.places(NAME, project.root, project.remote) == []
    assert not [one for one in canary.places(NAME, project.folder / "state") if "objects" in one]
