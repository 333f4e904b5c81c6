"""What a target's tests need beside its files: variables, and servers such as databases.

The evidence is the CI workflow that runs the tests (`services` and `env` of GitHub Actions), the
services of a compose file, `.env.example`, and Django's `manage.py`. Servers are started by docker,
as they are there; without it they are proposed as comments.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pipeline.survey.checkout_files import CheckoutFiles, FoundService, FoundTarget, table, within

_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_EXAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example")
_ASKS = {
    "postgres": ("pg_isready -q", 5432),
    "postgis": ("pg_isready -q", 5432),
    "pgvector": ("pg_isready -q", 5432),
    "timescale": ("pg_isready -q", 5432),
    "mysql": ("mysqladmin ping --silent", 3306),
    "mariadb": ("mariadb-admin ping --silent", 3306),
    "redis": ("redis-cli ping", 6379),
    "valkey": ("valkey-cli ping", 6379),
    "mongo": ("mongosh --quiet --eval 1", 27017),
    "rabbitmq": ("rabbitmq-diagnostics -q ping", 5672),
    "memcached": ("sh -c 'echo stats | nc -w 1 127.0.0.1 11211'", 11211),
}
"""For the names of images: how to ask in the container whether it answers, and its port."""

_SETTINGS = re.compile(r"DJANGO_SETTINGS_MODULE[\"']\s*,\s*[\"']([\w.]+)[\"']")
_VARIABLE = re.compile(r"^(?:export +)?([A-Z][A-Z0-9_]*)=[\"']?([^\"'\s#]+)", re.MULTILINE)
_LOCAL_URL = re.compile(r"[a-z][\w+.-]*://(?:[^@/\s]*@)?(?:localhost|127\.0\.0\.1|[a-z][\w-]*)[:/]")
_SQLITE = re.compile(r"sqlite3?:/")
_FILES_MAX = 400


class _Found(NamedTuple):
    """Servers and variables of one piece of evidence; `why` names it."""

    services: dict[str, FoundService]
    env: dict[str, str]
    why: str


def with_surroundings(repo: CheckoutFiles, targets: Sequence[FoundTarget]) -> list[FoundTarget]:
    """Return the targets with the variables and servers that their tests need."""
    found = _of_workflows(repo) or _of_compose(repo)
    has_docker = repo.has_program("docker")
    done: list[FoundTarget] = []
    for target in targets:
        env = _django(repo, target)
        services: tuple[FoundService, ...] = ()
        why = ""
        if found is not None and (
            target.folder == "" or len(targets) == 1 or _reads(repo, target, found.env)
        ):
            services, why = tuple(found.services.values()), found.why
            env |= found.env
        done.append(
            msgspec.structs.replace(
                target, env=env, services=services, surroundings=why, has_docker=has_docker
            )
        )
    return done


def _django(repo: CheckoutFiles, target: FoundTarget) -> dict[str, str]:
    """Return the settings module for pytest, which does not run `manage.py`."""
    if "manage.py" in target.command or target.language != "Python":
        return {}
    match = _SETTINGS.search(repo.text(within(target.folder, "manage.py")))
    configured = any(
        "DJANGO_SETTINGS_MODULE" in repo.text(within(target.folder, name))
        for name in ("pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini", "conftest.py")
    )
    return {"DJANGO_SETTINGS_MODULE": match[1]} if match and not configured else {}


def _of_workflows(repo: CheckoutFiles) -> _Found | None:
    """Return what the first job of a CI workflow needs that has servers beside it."""
    paths = (path for path in sorted(repo.files) if path.startswith(".github/workflows/"))
    for path in paths:
        content = repo.yaml(path) if path.endswith((".yml", ".yaml")) else {}
        for name, job in table(content, "jobs").items():
            services = dict(_containers(table(job, "services")))
            if services:
                env = _variables(content, job)
                return _Found(services, env, f"{path}, job {name}")
    return None


def _variables(workflow: dict[str, Any], job: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a job and its steps that need no secret and no expression."""
    steps = job.get("steps")
    parts = [table(workflow, "env"), table(job, "env")]
    parts += [table(step, "env") for step in steps] if isinstance(steps, list) else []
    merged = {str(name): value for part in parts for name, value in part.items()}
    return {
        name: str(value)
        for name, value in merged.items()
        if isinstance(value, str | int)
        and not isinstance(value, bool)
        and "${{" not in str(value)
        and not name.startswith(("GITHUB_", "ACTIONS_", "RUNNER_", "FORCE_COLOR", "CODECOV"))
    }


def _containers(services: Mapping[str, Any]) -> Iterator[tuple[str, FoundService]]:
    """Yield the servers of known images, as docker runs them."""
    for name, one in services.items():
        image = str(table(one).get("image") or "")
        kind = _kind(image)
        if kind is None or "${{" in image:
            continue
        ask, port = _ASKS[kind]
        container = shlex.quote(f"idea-to-pr-{name}")
        variables = "".join(
            f" -e {shlex.quote(f'{key}={value}')}"
            for key, value in table(one, "env").items()
            if "${{" not in str(value)
        )
        ports = one.get("ports") if isinstance(one, dict) else None
        published = [str(each) for each in ports] if isinstance(ports, list) else [f"{port}:{port}"]
        published = [each if ":" in each else f"{each}:{each}" for each in published]
        options = "".join(f" -p 127.0.0.1:{each}" for each in published if "${{" not in each)
        yield (
            name,
            FoundService(
                start=f"exec docker run --rm --name {container}{options}{variables} "
                + shlex.quote(image),
                ready=f"docker exec {container} {ask}",
                stop=f"docker rm -f {container}",
            ),
        )


def _of_compose(repo: CheckoutFiles) -> _Found | None:
    """Return the servers of a compose file that `.env.example` has an address of."""
    name = repo.has("", *_COMPOSE)
    example = repo.has("", *_EXAMPLES)
    env = {
        key: value
        for key, value in _VARIABLE.findall(repo.text(example))
        if _LOCAL_URL.match(value) or _SQLITE.match(value)
    }
    services: dict[str, FoundService] = {}
    for service, one in table(repo.yaml(name), "services").items() if name else ():
        kind = _kind(str(table(one).get("image") or ""))
        if kind is not None:
            word = shlex.quote(service)
            services[service] = FoundService(
                start=f"exec docker compose up {word}",
                ready=f"docker compose exec -T {word} {_ASKS[kind][0]}",
                stop=f"docker compose rm -sf {word}",
            )
            in_address = re.compile(rf"(://(?:[^@/]*@)?){re.escape(service)}(?=[:/])")
            env = {key: in_address.sub(r"\1localhost", value) for key, value in env.items()}
    if not env and not services:
        return None
    names = [*([name] if services else []), *([example] if env else [])]
    return _Found(services, env, " and ".join(names))


def _kind(image: str) -> str | None:
    """Return which known server an image is: `postgis/postgis:16` is `postgis`."""
    name = image.rpartition("/")[2].partition(":")[0].lower()
    return next((kind for kind in _ASKS if name.startswith(kind)), None)


def _reads(repo: CheckoutFiles, target: FoundTarget, env: Mapping[str, str]) -> bool:
    """Return whether a target's files name one of the variables."""
    paths = [within(target.folder, path) for path in repo.below(target.folder)[:_FILES_MAX]]
    return any(name in repo.text(path) for path in paths for name in env)
