"""The survey of a repository: its parts and customs, from the files and the history alone."""

import unicodedata
from collections.abc import Iterator

import msgspec

from pipeline.errors import UsageProblem
from pipeline.language import globs
from pipeline.repo.user import UserRepo
from pipeline.survey import customs, javascript, javascript_setup, others, python, python_setup
from pipeline.survey.look import Addition, Fact, Look, FoundTarget, within

_HISTORY = 50
_NAME_MAX = 44


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    `agent` is the command line of an agent that is installed, empty if none is.
    """

    parts: tuple[FoundTarget, ...]
    facts: tuple[Fact, ...]
    additions: tuple[Addition, ...]
    agent: str
    command: tuple[str, ...]
    pass_env: tuple[str, ...]


def survey(user: UserRepo, environ: dict[str, str]) -> Survey:
    """Look at a person's repository. Runs nothing but git, and writes nothing."""
    listed = user.git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    look = Look(user.root, [path for path in listed if path], environ)
    messages = user.git("log", f"-{_HISTORY}", "--no-merges", "--format=%B%x00", ok=(0, 128)).split(
        "\0"
    )
    history = customs.History(
        [message.strip("\n") for message in messages if message.strip()],
        signs=user.config("commit.gpgsign").lower() in {"true", "1", "yes", "on"},
    )
    found, left_out = parts(look)
    known = customs.agent(look)
    remote = user.remote_url(user.remote())
    return Survey(
        parts=tuple(found),
        facts=(*left_out, *customs.facts(look, remote, _branch(user)), *history.facts()),
        additions=(*python_setup.additions(look), *javascript_setup.additions(look)),
        agent=known[0] if known else "",
        command=known[1] if known else (),
        pass_env=known[2] if known else (),
    )


def _branch(user: UserRepo) -> str:
    try:
        return user.base("").branch
    except (
        UsageProblem
    ):  # no commit yet, or a detached HEAD that no branch has: `doctor` says what to do
        return ""


def parts(look: Look) -> tuple[list[FoundTarget], list[Fact]]:
    """Return what is a target, and what is left out of them."""
    found = [
        *python.find(look),
        *javascript.find(look),
        *others.find_go(look),
        *others.find_rust(look),
    ]
    found = found or list(others.find_other(look))
    bare = [part for part in found if part.folder and not part.is_tested]
    if len(bare) == len(found):
        bare = []
    facts = [Fact(what="left out", value=part.folder, why="it has no tests yet") for part in bare]
    facts += [
        Fact(what="not readable", value=path, why=why) for path, why in sorted(look.broken.items())
    ]
    named = list(_named_apart([part for part in found if part not in bare]))
    tests = {part.name: _tests_of(look, part) for part in named}
    return [_set_apart(_joined(part, named), named, tests) for part in named], facts


def _tests_of(look: Look, part: FoundTarget) -> list[str]:
    files = (within(part.folder, path) for path in look.below(part.folder))
    return [path for path in files if globs.matches_any(part.tests, path)]


def _set_apart(
    part: FoundTarget, others: list[FoundTarget], tests: dict[str, list[str]]
) -> FoundTarget:
    """Leave out of a part the folders of others that lie in it, and tests of others that its source would have."""
    exclude: list[str] = []
    head = f"{part.folder}/" if part.folder else ""
    for other in others:
        if other.name == part.name or not f"{other.folder}/".startswith(head):
            continue
        if other.folder != part.folder:
            inside = f"{other.folder}/**"
            exclude += [inside] if globs.overlap((*part.source, *part.tests), [inside]) else []
            continue
        theirs = (path for path in tests[other.name] if globs.matches_any(part.source, path))
        if any(not globs.matches_any(part.tests, path) for path in theirs):
            exclude += other.tests
    return msgspec.structs.replace(part, exclude=tuple(dict.fromkeys(exclude)))


def _joined(part: FoundTarget, others: list[FoundTarget]) -> FoundTarget:
    """Say by name which parts one builds on."""
    wanted = [
        other.name
        for other in others
        if other.package and other.package in part.wants and other.family == part.family
    ]
    return msgspec.structs.replace(
        part, depends=tuple(name for name in wanted if name != part.name)
    )


def _named_apart(found: list[FoundTarget]) -> Iterator[FoundTarget]:
    """Give every part a name of its own that a flow file takes."""
    taken: set[str] = set()
    for part in found:
        base = _plain(part.name)
        folder = _plain(part.folder.rpartition("/")[2]) if part.folder else base
        tried = [base, folder, _plain(f"{base}-{part.language}")]
        tried += [f"{base[: _NAME_MAX - 4]}-{number}" for number in range(2, len(found) + 3)]
        name = next(one for one in tried if one not in taken)
        taken.add(name)
        yield msgspec.structs.replace(part, name=name)


def _plain(name: str) -> str:
    """Write a name in letters, digits, - and _; letters with marks lose them."""
    text = "".join(
        one
        for one in unicodedata.normalize("NFKD", name.casefold())
        if not unicodedata.combining(one)
    )
    text = "".join(one if one.isascii() and (one.isalnum() or one == "_") else "-" for one in text)
    text = "-".join(word for word in text.split("-") if word)[:_NAME_MAX].strip("-_")
    return text if text[:1].isalpha() else f"part-{text}".rstrip("-")
