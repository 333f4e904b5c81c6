"""The secrets of a person that this machine holds: in their environment, and in files of logins.

An agent may be passed a variable, or read a file where its login lies; nothing of either may come
out again. The files are read, never kept; what cannot be read or understood is passed over.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.core import redact

_READ_MAX_BYTES = 1024 * 1024
_FILES = (
    ".netrc", "_netrc", ".git-credentials", ".npmrc", ".yarnrc.yml", ".pypirc", ".pgpass",
    ".docker/config.json", ".aws/credentials", ".claude/.credentials.json", ".claude.json",
    ".codex/auth.json", ".gemini/oauth_creds.json", ".kube/config", ".cargo/credentials.toml",
    ".cargo/credentials", ".pip/pip.conf", ".gem/credentials", ".terraform.d/credentials.tfrc.json",
    ".ssh/id_rsa", ".ssh/id_ecdsa", ".ssh/id_ed25519",
)  # fmt: skip
_CONFIG_FILES = (
    "git/credentials", "gh/hosts.yml", "glab-cli/config.yml", "hub", "pip/pip.conf",
    "containers/auth.json", "composer/auth.json", "gcloud/application_default_credentials.json",
)  # fmt: skip
"""Below `XDG_CONFIG_HOME`, and below `~/.config`."""

_VARIABLES = {
    "NETRC": "", "GH_CONFIG_DIR": "hosts.yml", "NPM_CONFIG_USERCONFIG": "",
    "DOCKER_CONFIG": "config.json", "AWS_SHARED_CREDENTIALS_FILE": "",
    "CLAUDE_CONFIG_DIR": ".credentials.json", "CODEX_HOME": "auth.json", "KUBECONFIG": "",
    "CARGO_HOME": "credentials.toml", "PIP_CONFIG_FILE": "", "PGPASSFILE": "",
    "GOOGLE_APPLICATION_CREDENTIALS": "",
}  # fmt: skip
"""Variables that name such a file, or the folder in which it lies."""

_NETRC = re.compile(r"\b(?:password|passwd)\s+(\S+)")
_PGPASS = re.compile(r"^[^#\s:]+:[^:\s]+:[^:]+:[^:]+:(\S+)$")
_MORE_FIELDS = re.compile(r"(?:^|[^a-z])(?:auth|access|refresh|session)$", re.IGNORECASE)


def known_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets of an environment and of the files of logins, each with a name for it.

    The name is that of the variable, or the path of the file.
    """
    found: dict[str, str] = {}
    for name, path in _files(environ):
        for value in secrets_in(_read(path)):
            if len(value) >= redact.SECRET_MIN_CHARACTERS:
                found.setdefault(value, name)
    return {**found, **redact.secrets(environ)}


def secrets_in(text: str) -> Iterator[str]:
    """Yield what stands where a file of logins has a password or a token, whatever its format."""
    yield from redact.url_passwords(text)
    if "PRIVATE KEY-----" in text and not text.lstrip().startswith("{"):
        yield text.strip()
        return
    try:
        yield from _in_json(json.loads(text), is_secret=False)
    except (ValueError, RecursionError):
        yield from _in_lines(text)


def secrets_in_config(text: str) -> Iterator[str]:
    """Yield the secrets in what `git config --get-regexp` prints: in addresses and in headers."""
    yield from redact.url_passwords(text)
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name.endswith(".extraheader") and value:
            yield from _value(value.split()[-1])


def _in_json(value: Any, *, is_secret: bool) -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                is_field = _is_secret_field(str(name))
                if not (isinstance(inner, str) and redact.is_harmless(str(name), inner)):
                    yield from _in_json(inner, is_secret=is_field)
        case list():
            for inner in value:
                yield from _in_json(inner, is_secret=is_secret)
        case str() if is_secret:
            yield from _value(value)
        case str():
            yield from redact.shaped(value)
        case _:
            pass


def _in_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield from _NETRC.findall(line)
        yield from redact.shaped(line)
        if match := _PGPASS.match(line):
            yield match[1]
        for sign in "=:":
            before, _, after = line.partition(sign)
            name = before.rpartition(":")[2].strip(" \t\"'-")
            value = after.strip().rstrip(",").strip("\"'")
            is_word = bool(value) and not set(value) & set(' \t{}[]"')
            if is_word and _is_secret_field(name) and not redact.is_harmless(name, value):
                yield from _value(value)


def _value(value: str) -> Iterator[str]:
    """Yield a value, and the password in it where it is `user:password` in base64."""
    yield value
    try:
        user, sign, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return
    if user and sign and password.isprintable():
        yield password


def _is_secret_field(name: str) -> bool:
    return redact.is_secret_name(name) or _MORE_FIELDS.search(name) is not None


def _files(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Yield the files of logins, each with the name under which people know it."""
    named = [
        (f"${variable}", Path(environ[variable]) / file if file else Path(environ[variable]))
        for variable, file in _VARIABLES.items()
        if environ.get(variable)
    ]
    yield from named
    if config := environ.get("XDG_CONFIG_HOME"):
        yield from ((f"$XDG_CONFIG_HOME/{file}", Path(config) / file) for file in _CONFIG_FILES)
    if home := environ.get("HOME"):
        for file in (*_FILES, *(f".config/{one}" for one in _CONFIG_FILES)):
            yield f"~/{file}", Path(home) / file


def _read(path: Path) -> str:
    """Return the text of a file; empty where there is none, or no ordinary one of usual size."""
    try:
        if not path.is_file() or path.stat().st_size > _READ_MAX_BYTES:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return ""
