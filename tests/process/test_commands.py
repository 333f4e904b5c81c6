"""What each kind of command sees of the person's environment, and what becomes of it without them."""

from pathlib import Path

import pytest

from pipeline.core import redact
from pipeline.process.commands import CommandMaker, CommandRequest, Purpose
from pipeline.process.spec import OnOrphan

PERSON = {
    "PATH": "/persons/bin",
    "HOME": "/persons/home",
    "GIT_CONFIG_GLOBAL": "/persons/home/.gitconfig",
    "MY_TOKEN": "hush-hush-hush",
    "OTHER": "private",
}


def made(folder: Path, purpose: Purpose, *pass_env: str):
    maker = CommandMaker(
        PERSON,
        {"PATH": "/recorded/bin"},
        run_id="r",
        caches=folder / "caches",
        lock_timeout_s=1.0,
        portable=False,
        secrets=lambda environ: (*redact.secrets(environ), "of-a-file"),
    )
    request = CommandRequest(
        purpose=purpose,
        argv=("true",),
        cwd=folder,
        folder=folder / "own",
        timeout_s=7.0,
        pass_env=pass_env,
    )
    return maker.make(request)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_command_sees_nothing_that_was_not_named(tmp_path, purpose):
    env = made(tmp_path, purpose).env
    assert not {"MY_TOKEN", "OTHER"} & env.keys()
    assert env["HOME"] == str(tmp_path / "own" / "home")


@pytest.mark.parametrize("purpose", list(Purpose))
def test_nobody_passes_their_git_configuration_on(tmp_path, purpose):
    assert made(tmp_path, purpose, "GIT_*").env["GIT_CONFIG_GLOBAL"] == "/dev/null"


@pytest.mark.parametrize("purpose", [Purpose.TEST, Purpose.CHECK])
def test_tests_and_checks_never_see_the_persons_home(tmp_path, purpose):
    assert made(tmp_path, purpose, "HOME").env["HOME"] == str(tmp_path / "own" / "home")


@pytest.mark.parametrize("purpose", list(Purpose))
def test_only_agents_go_on_when_the_pipeline_that_started_them_has_died(tmp_path, purpose):
    is_adopted = made(tmp_path, purpose).on_orphan is OnOrphan.ADOPT
    assert is_adopted is (purpose is Purpose.STAGE)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_all_but_agents_find_the_programs_of_the_person_who_started_the_run(tmp_path, purpose):
    path = "/persons/bin" if purpose is Purpose.STAGE else "/recorded/bin"
    assert made(tmp_path, purpose).env["PATH"] == path


def test_what_is_secret_is_taken_out_of_all_output(tmp_path):
    spec = made(tmp_path, Purpose.STAGE, "MY_TOKEN")
    assert set(spec.secrets) == {"hush-hush-hush", "of-a-file"}


def test_without_a_limit_of_silence_the_time_limit_is_one(tmp_path):
    spec = made(tmp_path, Purpose.STAGE)
    assert (spec.timeout_s, spec.idle_timeout_s) == (7.0, 7.0)
