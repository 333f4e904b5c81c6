"""Agents that lie, idle, cheat or stray: what the engine makes of them."""

import json

import pytest

from tests.helpers.project import Project


def finished(project: Project, *arguments: str) -> dict:
    process = project.trigger(*arguments)
    assert process.returncode in {0, 1}, process.stderr
    return project.result()


def nothing_was_published(project: Project) -> bool:
    return (
        list(project.remote_refs()) == ["refs/heads/main"]
        and not project.pulls()
        and "feature/" not in project.git("branch")
    )


@pytest.mark.slow
def test_a_developer_who_is_never_right_ends_the_loop_and_leaves_a_diagnosis(project):
    (project.takes / "developer" / "2").rename(project.takes / "never-played")
    result = finished(project)
    assert (result["state"], result["exit_code"]) == ("failed", 1)
    assert "no progress: the same failure in 2 round(s)" in result["reason"]
    assert nothing_was_published(project)
    assert project.calls("developer") == 2
    diagnosis = project.run_dir() / "triage" / "test_failure_debugger" / "diagnosis.json"
    assert "compares with <" in json.loads(diagnosis.read_text())["cause"]
    assert not (project.run_dir() / "test_results" / "all_passing").exists()
    assert not (project.root / "docs" / "status" / "latest").exists()


def test_a_developer_who_edits_the_tests_is_refused_and_the_tests_stay(project):
    code = (
        "import pathlib; pathlib.Path('tests/test_risk.py').write_text('def test_nothing(): "
        "pass\\n')"
    )
    project.script_every_try("developer", code)
    result = finished(project)
    assert result["state"] == "failed"
    assert (
        "tests/test_risk.py: outside the paths of this stage"
        in result["stages"]["developer"]["reason"]
    )
    assert nothing_was_published(project)
    assert (project.run_dir() / "patches" / "developer.1.rejected.patch").is_file(), (
        "what was refused is kept"
    )


def test_an_agent_that_says_done_and_did_nothing_fails_its_stage(project):
    for number in (1, 2):
        project.script("developer", number, "print('All done, tests are green.')")
        for path in (project.take("developer", number) / "files").rglob("*.py"):
            path.unlink()
    result = finished(project)
    assert result["state"] == "failed"
    assert "changed nothing" in result["stages"]["developer"]["reason"]
    assert nothing_was_published(project)


def test_a_write_outside_the_declared_paths_never_reaches_a_later_stage(project):
    code = (
        "import pathlib; pathlib.Path('setup.py').write_text('x = 1\\n'); "
        "pathlib.Path('README.md').write_text('mine')"
    )
    project.script("create_tests", 1, code)
    second = project.take("create_tests", 2) / "files" / "tests"
    second.mkdir(parents=True)
    (second / "test_risk.py").write_text(
        (project.take("create_tests") / "files" / "tests" / "test_risk.py").read_text()
    )
    project.script(
        "developer",
        1,
        "import os; assert not os.path.exists('setup.py'); assert 'trading' in "
        "open('README.md').read()",
    )
    result = finished(project)
    assert result["state"] == "done"
    assert result["stages"]["create_tests"]["attempts"] == 2
    rejected = (project.run_dir() / "patches" / "create_tests.1.rejected.patch").read_text()
    assert "setup.py" in rejected
    assert "setup.py" not in project.git("ls-tree", "-r", "--name-only", result["head"])


@pytest.mark.slow
def test_a_reader_that_writes_is_refused(project):
    project.script_every_try("planner", "open('README.md', 'a').write('hello')")
    result = finished(project)
    assert result["state"] == "failed"
    assert (
        "README.md: outside the paths of this stage (it may write none)"
        in result["stages"]["planner"]["reason"]
    )


@pytest.mark.slow
def test_a_protected_path_is_refused_although_the_globs_allow_it(project):
    project.edit_flow(
        "{agent: developer, lock: src_writer}",
        '{agent: developer, lock: src_writer, writes: [".github/**"]}',
    )
    code = (
        "import os; os.makedirs('.github/workflows'); open('.github/workflows/x.yml', "
        "'w').write('on: push')"
    )
    project.script_every_try("developer", code)
    result = finished(project)
    assert ".github/workflows/x.yml: protected" in result["stages"]["developer"]["reason"]


@pytest.mark.slow
def test_a_planted_repository_is_refused_and_its_filter_never_runs(project):
    marker = project.folder / "the-filter-ran"
    code = f"""
import os, subprocess
os.makedirs('src/inner', exist_ok=True)
subprocess.run(['git', 'init', '-q', 'src/inner'], check=True)
for config in ('src/inner/.git/config', '.git/config'):
    with open(config, 'a') as file:
        file.write('[filter "x"]\\n\\tclean = touch {marker}; cat\\n[core]\\n\\tfsmonitor = touch {marker}\\n')
        file.write('[diff "x"]\\n\\ttextconv = touch {marker}; cat\\n')
open('src/.gitattributes', 'w').write('* filter=x diff=x\\n')
open('src/inner/code.py', 'w').write('x = 1\\n')
os.makedirs('.git/hooks', exist_ok=True)
for hook in ('post-checkout', 'post-commit', 'reference-transaction', 'pre-push'):
    open('.git/hooks/' + hook, 'w').write('#!/bin/sh\\ntouch {marker}\\n')
    os.chmod('.git/hooks/' + hook, 0o755)
"""
    project.script_every_try("developer", code)
    result = finished(project)
    assert result["state"] == "failed"
    assert "a git repository inside the workspace" in result["stages"]["developer"]["reason"]
    assert not marker.exists()
    assert nothing_was_published(project)


@pytest.mark.slow
def test_a_filter_planted_for_an_allowed_path_does_not_change_what_is_committed(project):
    marker = project.folder / "the-filter-ran"
    code = f"""
with open('.git/config', 'a') as file:
    file.write('[filter "x"]\\n\\tclean = touch {marker}; echo evil\\n')
open('.git/info/attributes', 'w').write('* filter=x\\n')
open('.git/info/exclude', 'a').write('*.py\\n')
"""
    project.script("developer", 2, code)
    result = finished(project)
    assert result["state"] == "done"
    assert not marker.exists()
    assert "class RiskMonitor" in project.git("show", f"{result['head']}:src/trading/risk.py")


def test_tests_that_forge_their_report_are_found_out_by_the_canary(project_with_pytest):
    forging = (
        "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\ndef "
        "pytest_runtest_makereport(item, call):\n"
        "    outcome = yield\n    report = outcome.get_result()\n    report.outcome = "
        "'passed'\n    report.longrepr = None\n"
    )
    (project_with_pytest.take("create_tests") / "files" / "tests" / "conftest.py").write_text(
        forging
    )
    result = finished(project_with_pytest)
    assert result["state"] == "failed"
    assert "the report is not believed" in result["stages"]["create_tests"]["reason"]


@pytest.mark.slow
def test_files_that_claim_success_have_no_effect(project):
    code = """
import os
for path in ('test_results/all_passing', '.triggers/runs/x/all_green', 'docs/status/latest/ok'):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, 'w').write('all green')
"""
    project.script_every_try("verify", code)
    result = finished(project)
    assert result["state"] == "failed"
    assert ".triggers/runs/x/all_green: protected" in result["stages"]["verify"]["reason"]


@pytest.mark.slow
def test_tests_that_pass_already_are_not_red(project):
    weak = "def test_nothing_new():\n    assert 1 + 1 == 2\n"
    (project.take("create_tests") / "files" / "tests" / "test_risk.py").write_text(weak)
    result = finished(project)
    assert result["state"] == "failed"
    assert (
        "a new test that passed before there is any source for it"
        in result["stages"]["create_tests"]["reason"]
    )
    assert project.calls("developer") == 0, "nothing was paid for after the tests were refused"
    assert project.calls("create_tests") == 3


@pytest.mark.slow
def test_the_next_attempt_at_the_tests_is_told_why_they_were_refused(project):
    good = (project.take("create_tests") / "files" / "tests" / "test_risk.py").read_text()
    (project.take("create_tests") / "files" / "tests" / "test_risk.py").write_text(
        "def test_broken(:\n"
    )
    second = project.take("create_tests", 2) / "files" / "tests"
    second.mkdir(parents=True)
    (second / "test_risk.py").write_text(good)
    result = finished(project)
    assert result["state"] == "done"
    assert "SyntaxError" in (project.take("create_tests", 2) / "prompt.md").read_text()


def test_blocking_findings_go_back_once_and_then_stand_in_the_pull_request(project):
    finding = {
        "file": "src/trading/risk.py",
        "line": 10,
        "severity": "blocking",
        "what": "a zero limit is ignored",
        "fails_when": "the limit is 0",
    }
    remark = {**finding, "line": 11, "what": "it could be nicer", "fails_when": ""}
    nowhere = {
        "file": "src/trading/nowhere.py",
        "line": 1,
        "severity": "blocking",
        "what": "made up",
        "fails_when": "never",
    }
    path = project.take("integration_validator") / "outputs" / "findings.json"
    path.write_text(json.dumps({"findings": [finding, remark, nowhere]}))
    (project.take("developer", 3)).mkdir(exist_ok=True)
    source = (
        project.takes / "developer" / "2" / "files" / "src" / "trading" / "risk.py"
    ).read_text()
    third = project.take("developer", 3) / "files" / "src" / "trading"
    third.mkdir(parents=True)
    (third / "risk.py").write_text(source + "\n# looked at the zero limit\n")
    result = finished(project)
    assert result["state"] == "done"
    assert result["stages"]["integration_validator"]["attempts"] == 2
    assert "a zero limit is ignored" in (project.take("developer", 3) / "prompt.md").read_text()
    body = project.pulls()[0]["body"]
    assert "**blocking** src/trading/risk.py:10: a zero limit is ignored" in body
    assert "\n- src/trading/risk.py:11: it could be nicer" in body, "it cannot be made to fail"
    assert "made up" not in body
    told = (project.take("cover_findings") / "prompt.md").read_text()
    assert "findings, from integration_validator, in the last round" in told


@pytest.mark.slow
def test_an_output_that_was_not_delivered_is_taken_from_the_answer_or_asked_for_again(project):
    plan = (project.take("planner") / "outputs" / "plan.md").read_text()
    (project.take("planner") / "outputs" / "plan.md").unlink()
    (project.take("planner") / "answer.md").write_text(plan)
    (project.take("coordinator") / "outputs" / "work_plan.json").write_text('{"title": 3}')
    second = project.take("coordinator", 2)
    second.joinpath("answer.md").write_text(
        'Here it is:\n```json\n{"title": "t", "items": []}\n```\n'
    )
    result = finished(project)
    assert result["state"] == "done"
    assert (project.run_dir() / "planner" / "plan.md").read_text() == plan
    assert json.loads((project.run_dir() / "coordinator" / "work_plan.json").read_text()) == {
        "title": "t",
        "items": [],
    }
    assert "Expected `str`" in (project.take("coordinator", 2) / "prompt.md").read_text()


@pytest.mark.slow
def test_a_change_after_the_last_green_gate_is_not_published(project):
    late = 'late: {run: "echo x = 1 > src/trading/late.py", needs: [deliver], lock: src_writer}\n      auto_commit:'
    project.edit_flow(
        "auto_commit: {publish: {draft: true}, needs: [deliver]",
        late + " {publish: {draft: true}, needs: [late]",
    )
    result = finished(project)
    assert result["state"] == "failed"
    assert "was not verified" in result["stages"]["auto_commit"]["reason"]
    assert nothing_was_published(project)


@pytest.mark.slow
def test_a_run_that_changed_nothing_publishes_nothing(project):
    publish = "auto_commit: {publish: {draft: true}, needs: [deliver], lock: publisher}\n\n  bugfix"
    project.edit_flow(publish, publish.replace("[deliver]", "[planner]"))
    result = finished(project)
    assert result["state"] == "failed"
    assert "the run changed nothing" in result["stages"]["auto_commit"]["reason"]
