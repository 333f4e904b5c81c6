"""The survey of a repository: its parts and customs, from the files and the history alone."""

from collections.abc import Iterator

import msgspec

from pipeline.repo.user import UserRepo
from pipeline.survey import customs, javascript, others, python
from pipeline.survey.look import Fact, Look, Part

_HISTORY = 50


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; `agent` is the command line of an agent that is installed, empty if none is."""

    parts: tuple[Part, ...]
    facts: tuple[Fact, ...]
    agent: str
    command: tuple[str, ...]
    pass_env: tuple[str, ...]


def survey(user: UserRepo, environ: dict[str, str]) -> Survey:
    """Look at a person's repository. Runs nothing but git, and writes nothing."""
    listed = user.git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    look = Look(user.root, [path for path in listed if path], environ)
    messages = user.git("log", f"-{_HISTORY}", "--no-merges", "--format=%B%x00", ok=(0, 128)).split("\0")
    history = customs.History(
        [message.strip("\n") for message in messages if message.strip()],
        signs=user.config("commit.gpgsign").lower() in {"true", "1", "yes", "on"},
    )
    branch = user.base("").branch
    found = customs.agent(look)
    return Survey(
        parts=tuple(_named_apart(_parts(look))),
        facts=(*customs.facts(look, user.remote_url(user.remote()), branch), *history.facts()),
        agent=found[0] if found else "",
        command=found[1] if found else (),
        pass_env=found[2] if found else (),
    )


def _parts(look: Look) -> list[Part]:
    found = [*python.find(look), *javascript.find(look), *others.find_go(look), *others.find_rust(look)]
    return found or list(others.find_other(look))


def _named_apart(parts: list[Part]) -> Iterator[Part]:
    """Give every part a name of its own that a flow file takes."""
    taken: set[str] = set()
    for part in parts:
        name = _plain(part.name)
        if name in taken:
            name = _plain(f"{name}-{part.language}")
        number = 2
        while name in taken:
            name, number = f"{_plain(part.name)[:40]}-{number}", number + 1
        taken.add(name)
        yield msgspec.structs.replace(part, name=name)


def _plain(name: str) -> str:
    text = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "-" for letter in name)
    text = text.strip("-_").lower()[:44]
    return text if text[:1].isalpha() else f"part-{text}".rstrip("-")
