"""Survey a repository: its targets and conventions, from its files and history alone."""

import unicodedata
from collections.abc import Iterator

import msgspec

from pipeline.errors import UsageProblem
from pipeline.language import globs
from pipeline.repo.user import UserRepo
from pipeline.survey import conventions, javascript, javascript_setup, others, python, python_setup
from pipeline.survey.checkout_files import Addition, CheckoutFiles, Fact, FoundTarget, within
from pipeline.survey.coverage import documents, with_left_out
from pipeline.survey.submodules import with_submodules
from pipeline.survey.surroundings import with_surroundings

_HISTORY = 50
_NAME_MAX = 44

NOT_READABLE = "not readable"
"""What the fact is called that names a file which cannot be read."""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    `agent` is the name of an installed agent, `command` its command line and `pass_env` the
    variables it needs; all are empty if none is installed. The field names are keys of
    `pipeline init --json`.
    """

    parts: tuple[FoundTarget, ...]
    facts: tuple[Fact, ...]
    additions: tuple[Addition, ...]
    agent: str
    command: tuple[str, ...]
    pass_env: tuple[str, ...]


def survey_repository(user: UserRepo, environ: dict[str, str]) -> Survey:
    """Survey a person's repository. Runs nothing but git, and writes nothing."""
    listed = user.git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    repo = CheckoutFiles(user.root, [path for path in listed if path], environ)
    messages = user.git(
        "log", f"-{_HISTORY}", "--no-merges", "--format=%an%n%B%x00", ok=(0, 128)
    ).split("\0")
    history = conventions.History(
        [text for message in messages if (text := conventions.of_a_person(message.strip("\n")))],
        signs=user.config("commit.gpgsign").lower() in {"true", "1", "yes", "on"},
    )
    remote = user.remote_url(user.remote())
    targets, left_out = find_targets(repo, remote)
    known = conventions.agent(repo)
    return Survey(
        parts=tuple(targets),
        facts=(*left_out, *conventions.facts(repo, remote, _branch(user)), *history.facts()),
        additions=(*python_setup.additions(repo), *javascript_setup.additions(repo)),
        agent=known[0] if known else "",
        command=known[1] if known else (),
        pass_env=known[2] if known else (),
    )


def _branch(user: UserRepo) -> str:
    try:
        return user.pin_base("").branch
    except UsageProblem:
        # No commit yet, or a detached HEAD on no branch. `init` works without a base branch, and
        # `doctor` says what to do.
        return ""


def find_targets(repo: CheckoutFiles, remote: str = "") -> tuple[list[FoundTarget], list[Fact]]:
    """Return the targets, and facts about what was left out or could not be read.

    The addresses of submodules may start from that of the remote.
    """
    candidates = [
        *python.find(repo),
        *javascript.find(repo),
        *others.find_go(repo),
        *others.find_rust(repo),
    ]
    candidates = candidates or list(others.find_other(repo))
    untested = [target for target in candidates if target.folder and not target.is_tested]
    if len(untested) == len(candidates):
        untested = []
    facts = [
        Fact(what="left out", value=target.folder, why="it has no tests yet") for target in untested
    ]
    facts += [
        Fact(what=NOT_READABLE, value=path, why=why) for path, why in sorted(repo.broken.items())
    ]
    named = list(_with_unique_names([target for target in candidates if target not in untested]))
    tests = {target.name: _tests_of(repo, target) for target in named}
    whole = [_without_overlap(_with_depends(target, named), named, tests) for target in named]
    whole, left_out = with_left_out(repo, whole)
    whole = [msgspec.structs.replace(one, docs=documents(repo, one)) for one in whole]
    whole, submodules = with_submodules(repo, with_surroundings(repo, whole), remote)
    return whole, [*facts, *left_out, *submodules]


def _tests_of(repo: CheckoutFiles, target: FoundTarget) -> list[str]:
    files = (within(target.folder, path) for path in repo.below(target.folder))
    return [path for path in files if globs.matches_any(target.tests, path)]


def _without_overlap(
    target: FoundTarget, others: list[FoundTarget], tests: dict[str, list[str]]
) -> FoundTarget:
    """Exclude from a target the folders of others inside it, and tests of others in its source."""
    exclude: list[str] = []
    head = f"{target.folder}/" if target.folder else ""
    for other in others:
        if other.name == target.name or not f"{other.folder}/".startswith(head):
            continue
        if other.folder != target.folder:
            inside = f"{other.folder}/**"
            exclude += [inside] if globs.overlap((*target.source, *target.tests), [inside]) else []
            continue
        theirs = (path for path in tests[other.name] if globs.matches_any(target.source, path))
        if any(not globs.matches_any(target.tests, path) for path in theirs):
            exclude += other.tests
    return msgspec.structs.replace(target, exclude=tuple(dict.fromkeys(exclude)))


def _with_depends(target: FoundTarget, others: list[FoundTarget]) -> FoundTarget:
    """Set the names of the targets that one depends on."""
    wanted = [
        other.name
        for other in others
        if other.package and other.package in target.wants and other.family == target.family
    ]
    return msgspec.structs.replace(
        target, depends=tuple(name for name in wanted if name != target.name)
    )


def _with_unique_names(targets: list[FoundTarget]) -> Iterator[FoundTarget]:
    """Give every target a unique name that is valid in a flow file."""
    taken: set[str] = set()
    for target in targets:
        base = _plain(target.name)
        folder = _plain(target.folder.rpartition("/")[2]) if target.folder else base
        candidates = [base, folder, _plain(f"{base}-{target.language}")]
        candidates += [f"{base[: _NAME_MAX - 4]}-{number}" for number in range(2, len(targets) + 3)]
        name = next(one for one in candidates if one not in taken)
        taken.add(name)
        yield msgspec.structs.replace(target, name=name)


def _plain(name: str) -> str:
    """Return a name in ASCII letters, digits, - and _; letters lose their accents."""
    text = "".join(
        one
        for one in unicodedata.normalize("NFKD", name.casefold())
        if not unicodedata.combining(one)
    )
    text = "".join(one if one.isascii() and (one.isalnum() or one == "_") else "-" for one in text)
    text = "-".join(word for word in text.split("-") if word)[:_NAME_MAX].strip("-_")
    return text if text[:1].isalpha() else f"part-{text}".rstrip("-")
