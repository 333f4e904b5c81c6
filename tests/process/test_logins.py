"""Secrets are found in the files where logins lie, whatever their format, and garbage does no harm."""

import base64
import json
import os

import pytest

from pipeline.process.logins import known_secrets, secrets_in, secrets_in_config

FILES = {
    ".netrc": "machine example.org\n  login me\n  password the-netrc-one\n",
    ".git-credentials": "https://me:the%2Fgit-one@github.com\n",
    ".config/gh/hosts.yml": "github.com:\n    user: me\n    oauth_token: the-gh-token\n",
    ".npmrc": "//registry.npmjs.org/:_authToken=the-npm-token\n",
    ".pypirc": "[pypi]\nusername = __token__\npassword = the-pypi-one\n",
    ".docker/config.json": json.dumps(
        {"auths": {"r": {"auth": base64.b64encode(b"me:the-docker-one").decode()}}}
    ),
    ".aws/credentials": "[default]\naws_secret_access_key = the/aws+one\nregion = eu\n",
    ".claude/.credentials.json": '{"claudeAiOauth": {"accessToken": "the-claude-one"}}',
    ".codex/auth.json": '{"OPENAI_API_KEY": null, "tokens": {"id_token": "the-codex-one"}}',
    ".pgpass": "db:5432:*:me:the-pg-one\n",
    ".ssh/id_ed25519": "-----BEGIN OPENSSH PRIVATE KEY-----\nthe-ssh-one-abc\n",
}
VALUES = {
    "the-netrc-one", "the%2Fgit-one", "the/git-one", "the-gh-token", "the-npm-token",
    "the-pypi-one", "the-docker-one", "the/aws+one", "the-claude-one", "the-codex-one",
    "the-pg-one",
}  # fmt: skip


def test_every_file_of_a_login_is_known(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = known_secrets({"HOME": str(tmp_path), "MY_TOKEN": "the-variable-one"})
    assert found.keys() > VALUES
    assert found["the-netrc-one"] == "~/.netrc"
    assert found["the-variable-one"] == "MY_TOKEN"
    assert any("the-ssh-one-abc" in value for value in found)


def test_files_that_variables_name_are_read(tmp_path):
    (tmp_path / "gh").mkdir()
    (tmp_path / "gh" / "hosts.yml").write_text("github.com: {}\n    oauth_token: the-xdg-token\n")
    assert known_secrets({"XDG_CONFIG_HOME": str(tmp_path)}) == {
        "the-xdg-token": "$XDG_CONFIG_HOME/gh/hosts.yml"
    }
    assert known_secrets({"GH_CONFIG_DIR": str(tmp_path / "gh")}) == {
        "the-xdg-token": "$GH_CONFIG_DIR"
    }


@pytest.mark.parametrize(
    "text",
    ["", "\0\x01 {", "{" * 5000, "[[[", "password", "token: {", "key =", "=" * 5000, '{"key": 5}'],
)
def test_garbage_has_no_secrets(text):
    assert [value for value in secrets_in(text) if len(value) >= 8] == []


def test_what_is_no_ordinary_file_is_passed_over(tmp_path):
    os.mkfifo(tmp_path / ".netrc")
    (tmp_path / ".npmrc").mkdir()
    (tmp_path / ".pypirc").write_text("password = long-enough\n" + "x" * 2_000_000)
    (tmp_path / ".pgpass").symlink_to(tmp_path / "nowhere")
    assert known_secrets({"HOME": str(tmp_path)}) == {}


def test_paths_in_such_a_file_are_no_secrets():
    assert list(secrets_in("client-key: /srv/me/.kube/client.key\ntoken_type: Bearer\n")) == [
        "Bearer"
    ]


def test_the_configuration_of_git_has_passwords_in_addresses_and_headers():
    header = base64.b64encode(b"x-access-token:the-ci-token").decode()
    text = (
        "remote.origin.url https://me:the-address-one@example.org/x\n"
        f"http.https://github.com/.extraheader AUTHORIZATION: basic {header}\n"
    )
    assert set(secrets_in_config(text)) == {"the-address-one", header, "the-ci-token"}
