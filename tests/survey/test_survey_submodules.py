"""Submodules: `init` lets set-up bring them, workspaces have them, and `doctor` says so."""

import json
import shutil
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest
import yaml

from pipeline.survey.submodules import with_submodules
from tests.helpers.looks import PYTHON, Tree
from tests.helpers.wild import HEAD, Wild

CLONE = "git submodule update --quiet --init --recursive"
FIND = "-name .git -type f -delete"


def modules(*entries):
    return "".join(f'[submodule "{n}"]\n\tpath = {p}\n\turl = {u}\n' for n, p, u in entries)


def found_with(folder, text, remote=""):
    tree = Tree(folder, {**PYTHON, ".gitmodules": text, "lib": "", "a": "", "b": ""})
    (part,), facts = with_submodules(tree.repo, Tree(folder / "plain", PYTHON).parts, remote)
    return part, {fact.value: fact.why for fact in facts}


def test_setup_begins_with_the_submodules_and_runs_again_for_another_commit(tmp_path):
    url = "https://example.org/lib.git"
    text = modules(("lib", "vendor/lib", url), ("b", "my libs/b", url))
    tree = Tree(tmp_path, {**PYTHON, ".gitmodules": text, "vendor/lib": "", "my libs/b": ""})
    first, *others = tree.part.setup
    assert first == f"{CLONE} && find vendor/lib 'my libs/b' {FIND}"
    assert others
    assert yaml.safe_load(tree.flow())["workspace"]["inputs"] == [
        ".gitmodules", "vendor/lib", "my libs/b",
    ]  # fmt: skip
    assert [fact.value for fact in tree.facts if fact.what == "submodule"] == [
        "vendor/lib", "my libs/b",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "remote", "meant"),
    [
        ("../lib.git", "https://example.org/us/app.git", "https://example.org/us/lib.git"),
        ("../../you/lib", "https://example.org/us/app/", "https://example.org/you/lib"),
        ("../lib.git", "git@example.org:us/app.git", "git@example.org:us/lib.git"),
        ("../lib.git", "git@example.org:app.git", "git@example.org:lib.git"),
        ("./lib", "https://name:secret@example.org/app", "https://example.org/app/lib"),
    ],
)
def test_an_address_that_starts_from_the_remotes_is_written_out(tmp_path, url, remote, meant):
    part, _ = found_with(tmp_path, modules(("lib", "lib", url)), remote)
    start = f"git -c submodule.lib.url={meant} submodule update"
    assert part.setup[0].startswith(start)


@pytest.mark.parametrize("remote", ["", "https://example.org", "app"])
def test_a_submodule_that_nobody_can_place_is_named_and_not_cloned(tmp_path, remote):
    text = modules(("a", "a", "../../x/a.git"), ("b", "b", "https://example.org/b.git"))
    part, facts = found_with(tmp_path, text, remote)
    assert part.setup[0] == f"{CLONE} -- b && find b {FIND}"
    assert "workspaces lack it" in facts["a"]
    assert "workspaces lack it" not in facts["b"]


def test_files_in_the_place_of_a_submodule_are_files(tmp_path):
    text = modules(("lib", "vendor/lib", "https://example.org/lib.git"))
    tree = Tree(tmp_path, {**PYTHON, ".gitmodules": text, "vendor/lib/x.c": ""})
    assert not tree.part.inputs
    assert "submodule" not in tree.part.setup[0]


@pytest.fixture
def served(tmp_path):
    """A folder of bare repositories, served as a forge would."""
    folder = tmp_path / "forge"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def given(served, wild, name, text):
    """Put a bare repository with one file onto the forge; return its address."""
    folder, address = served
    work = folder.parent / name
    work.mkdir()
    (work / "value.txt").write_text(text)
    wild.at(work, "init", "--quiet", "--initial-branch=main")
    wild.at(work, "add", "--all")
    who = ("-c", "user.name=A Person", "-c", "user.email=person@example.org")
    wild.at(work, *who, "commit", "--quiet", "--message", "Start")
    wild.at(work, "clone", "--quiet", "--bare", ".", str(folder / f"{name}.git"))
    wild.at(folder / f"{name}.git", "update-server-info")
    return f"{address}/{name}.git"


def checks_of(wild):
    out = wild.run("pipeline", "doctor", "--json").stdout
    checks = json.loads(out[out.index("{") :])["checks"]
    return {one["name"]: (one["status"], one["text"], one["hint"]) for one in checks}


@pytest.mark.slow
def test_a_workspace_has_the_submodule_that_init_proposed(tmp_path, served):
    wild = Wild(tmp_path)
    address = given(served, wild, "lib", "42\n")
    wild.git("submodule", "add", "--quiet", address, "vendor/lib")
    wild.git("config", "--file", ".gitmodules", "submodule.vendor/lib.url", "../lib.git")
    wild.git("remote", "add", "origin", address.replace("lib.git", "app.git"))
    wild.add("pyproject.toml", '[project]\nname = "x"\nversion = "1"\n')
    shutil.rmtree(wild.root / "agents")
    out = wild.run("pipeline", "init", "--dry-run", "--json").stdout
    workspace = yaml.safe_load(json.loads(out[out.index("{") :])["flow"])["workspace"]
    workspace["setup"] = workspace["setup"][:1]
    wild.git("remote", "remove", "origin")
    seen = "cp vendor/lib/value.txt src/value.txt; git status --porcelain > src/status.txt"
    flow = f"{HEAD}      work: {{run: '{seen}', writes: ['src/**']}}\n"
    flow += "      out: {publish: {}, needs: [work]}\n"
    wild.with_remote()
    wild.add("agents/flow.yaml", flow)
    status, text, hint = checks_of(wild)["submodules"]
    assert (status, "vendor/lib" in text, "inputs: [vendor/lib]" in hint) == ("warn", True, True)
    wild.add("agents/flow.yaml", flow + yaml.safe_dump({"workspace": workspace}))
    assert checks_of(wild)["submodules"][:2] == ("ok", "set-up brings vendor/lib into workspaces")
    before = wild.git("ls-tree", "HEAD", "vendor/lib")
    wild.publish()
    head = wild.published(["src/status.txt", "src/value.txt"])
    assert wild.git("show", f"{head}:src/value.txt") == "42"
    assert wild.git("show", f"{head}:src/status.txt") == "?? src/status.txt\n?? src/value.txt"
    assert wild.git("ls-tree", head, "vendor/lib") == before


def test_a_setup_that_brings_submodules_badly_is_doubted(tmp_path, served):
    wild = Wild(tmp_path)
    wild.git("submodule", "add", "--quiet", given(served, wild, "lib", "1\n"), "lib")
    wild.commit("Add a submodule")
    flow = (wild.root / "agents" / "flow.yaml").read_text()
    wild.add("agents/flow.yaml", f"{flow}workspace: {{setup: ['{CLONE}']}}\n")
    out = wild.run("pipeline", "doctor").stdout
    assert "lib: set-up brings it, but is not run again for another commit of it" in out
    assert "lib: set-up leaves a file .git in it" in out
    assert "inputs: [lib]" in out
