"""The gates on other people's honest work: two consecutive releases of popular projects.

The base is the earlier release; the tests of the later one are what the test stage delivers, and
its source is the change. Where `red` refuses, its own words say what `tests.json` has to name, and
whoever does what they say gets through: that is how the delivery is made here.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from pipeline.core.evidence import GateResult, GateVerdict
from pipeline.gates import base, table
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.schemas import TestDelivery as Delivery
from pipeline.language.target import Target
from pipeline.language.target import TestCommand as Command
from pipeline.language.words import Duration, Glob, Name
from pipeline.survey.checkout_files import CheckoutFiles, FoundTarget
from pipeline.survey.survey import find_targets
from tests.helpers.archives import Archive, MissingArchive
from tests.helpers.trees import Trees, trees

pytestmark = pytest.mark.slow

PAIRS = {
    "cachetools 5.5.2": (
        Archive(
            "pypi",
            "cachetools",
            "5.5.1",
            "70f238fbba50383ef62e55c6aff6d9673175fe59f7c6782c7a0b9e38f4a9df95",
        ),
        Archive(
            "pypi",
            "cachetools",
            "5.5.2",
            "1a661caa9175d26759571b2e19580f9d6393969e5dfca11fdb1f947a23e640d4",
        ),
    ),
    "more-itertools 10.5.0": (
        Archive(
            "pypi",
            "more-itertools",
            "10.4.0",
            "fe0e63c4ab068eac62410ab05cccca2dc71ec44ba8ef29916a0090df061cf923",
        ),
        Archive(
            "pypi",
            "more-itertools",
            "10.5.0",
            "5482bfef7849c25dc3c6dd53a6173ae4795da2a41a80faea6700d9f5846c5da6",
        ),
    ),
    "markupsafe 3.0.2": (
        Archive(
            "pypi",
            "markupsafe",
            "3.0.1",
            "3e683ee4f5d0fa2dde4db77ed8dd8a876686e3fc417655c2ece9a90576905344",
        ),
        Archive(
            "pypi",
            "markupsafe",
            "3.0.2",
            "ee55d3edf80167e48ea11a923c7386f4669df67d7994554387f84e7d8b0a2bf0",
        ),
    ),
    "toolz 0.11.1": (
        Archive(
            "pypi",
            "toolz",
            "0.10.0",
            "08fdd5ef7c96480ad11c12d472de21acd32359996f69a5259299b540feba4560",
        ),
        Archive(
            "pypi",
            "toolz",
            "0.11.1",
            "c7a47921f07822fe534fb1c01c9931ab335a4390c782bd28c6bcc7c2f71f3fbf",
        ),
    ),
    "h11 0.15.0": (
        Archive(
            "pypi",
            "h11",
            "0.14.0",
            "8f19fbbe99e72420ff35c00b27a34cb9937e902a8b810e2c88300c6f0a3b699d",
        ),
        Archive(
            "pypi",
            "h11",
            "0.15.0",
            "2a7db2d2beffd4e6c6bbe3a64305ab77d89087976e8aed8fdcff4b054744e72f",
        ),
    ),
    "simplejson 3.19.3": (
        Archive(
            "pypi",
            "simplejson",
            "3.19.2",
            "9eb442a2442ce417801c912df68e1f6ccfcd41577ae7274953ab3ad24ef7d82c",
        ),
        Archive(
            "pypi",
            "simplejson",
            "3.19.3",
            "8e086896c36210ab6050f2f9f095a5f1e03c83fa0e7f296d6cba425411364680",
        ),
    ),
    "bidict 0.23.1": (
        Archive(
            "pypi",
            "bidict",
            "0.23.0",
            "3959ca59d4d6997702d642bf1e5fd93cba299863723fc289545198f70c468578",
        ),
        Archive(
            "pypi",
            "bidict",
            "0.23.1",
            "03069d763bc387bbd20e7d49914e75fc4132a41937fa3405417e1a5a2d006d71",
        ),
    ),
    "zipp 3.20.2": (
        Archive(
            "pypi",
            "zipp",
            "3.20.1",
            "c22b14cc4763c5a5b04134207736c107db42e9d3ef2d9779d465f5f1bcba572b",
        ),
        Archive(
            "pypi",
            "zipp",
            "3.20.2",
            "bc9eb26f4506fda01b81bcde0ca78103b6e62f991b381fec825435c836edbc29",
        ),
    ),
    "python-slugify 8.0.4": (
        Archive(
            "pypi",
            "python-slugify",
            "8.0.3",
            "e04cba5f1c562502a1175c84a8bc23890c54cdaf23fccaaf0bf78511508cabed",
        ),
        Archive(
            "pypi",
            "python-slugify",
            "8.0.4",
            "59202371d1d05b54a9e7720c5e038f928f45daaffe41dd10822f3907b937c856",
        ),
    ),
    "tabulate 0.9.0": (
        Archive(
            "pypi",
            "tabulate",
            "0.8.10",
            "6c57f3f3dd7ac2782770155f3adb2db0b1a269637e42f27599925e64b114f519",
        ),
        Archive(
            "pypi",
            "tabulate",
            "0.9.0",
            "0095b12bf5966de529c0feb1fa08671671b3368eec77d7ef7ab114be2c068b3c",
        ),
    ),
    "sqlparse 0.5.2": (
        Archive(
            "pypi",
            "sqlparse",
            "0.5.1",
            "bb6b4df465655ef332548e24f08e205afc81b9ab86cb1c45657a7ff173a3a00e",
        ),
        Archive(
            "pypi",
            "sqlparse",
            "0.5.2",
            "9e37b35e16d1cc652a2545f0997c1deb23ea28fa1f3eefe609eee3063c3b105f",
        ),
    ),
    "sqlparse 0.5.3": (
        Archive(
            "pypi",
            "sqlparse",
            "0.5.2",
            "9e37b35e16d1cc652a2545f0997c1deb23ea28fa1f3eefe609eee3063c3b105f",
        ),
        Archive(
            "pypi",
            "sqlparse",
            "0.5.3",
            "09f67787f56a0b16ecdbde1bfc7f5d9c3371ca683cfeaa8e6ff60b4807ec9272",
        ),
    ),
    "pathspec 0.12.1": (
        Archive(
            "pypi",
            "pathspec",
            "0.12.0",
            "c57e16065a97b7beb175f13c84d27cb05f7b7315741c2fbd5de541042f4ea6e1",
        ),
        Archive(
            "pypi",
            "pathspec",
            "0.12.1",
            "a482d51503a1ab33b1c67a6c3813a26953dbdc71c31dacaef9a838c4e29f5712",
        ),
    ),
    "jinja2 3.1.5": (
        Archive(
            "pypi",
            "jinja2",
            "3.1.4",
            "4a3aee7acbbe7303aede8e9648d13b8bf88a429282aa6122a993f0ac800cb369",
        ),
        Archive(
            "pypi",
            "jinja2",
            "3.1.5",
            "8fefff8dc3034e27bb80d67c671eb8a9bc424c0ef4c0826edbff304cceff43bb",
        ),
    ),
}
TRUE_REFUSALS = {
    "more-itertools 10.5.0": "no new test was found",
    "markupsafe 3.0.2": "no new test was found",
    "simplejson 3.19.3": "no new test was found",
    "bidict 0.23.1": "no new test was found",
    "python-slugify 8.0.4": "no new test was found",
    "sqlparse 0.5.3": "no new test was found",
    "tabulate 0.9.0": "a new test that was skipped",
    "jinja2 3.1.5": "No module named 'trio'",
    "zipp 3.20.2": "No module named",
}
"""What is refused, and rightly: nothing fails before the change, or a package is not there."""

ROUNDS = 6
REWRITTEN = re.compile(r"(?P<file>\S+): the old test (?P<name>\S+) was rewritten")
NAMED = re.compile(r"(?P<name>.+?): .*\((?P<key>guards|skipped|changed|removed)[,)]", re.DOTALL)
MOVED = re.compile(r"(?P<name>\S+?): kept")
KEYS = ("guards", "skipped", "changed", "kept", "removed")


class Refused(Exception):  # noqa: N818 -- what a gate says, not an error
    """A gate has refused; the lines say why."""


def files_of(archive: Archive, folder: Path) -> dict[str, str]:
    """Return a release's text files as a repository has them, without the archive's own metadata."""
    archive.unpack(folder)
    files: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or name == "PKG-INFO" or ".egg-info/" in name:
            continue
        try:
            files[name] = path.read_bytes().decode()
        except UnicodeDecodeError:
            continue
    return files


def target_of(part: FoundTarget) -> Target:
    tests = tuple(map(Glob, part.tests))
    return Target(
        name=Name("app"),
        source=tuple(Glob(globs.but_not(Glob(one), tests)) for one in part.source),
        tests=tests,
        test=Command(command="python -m pytest -q", timeout_s=Duration(300.0)),
    )


def delivery_of(named: Mapping[str, Mapping[str, None]]) -> Delivery:
    lists = {
        key: [{"name": name, "why": "the release says so"} for name in names]
        for key, names in named.items()
    }
    return msgspec.convert(lists, Delivery)


def do_as_told(failures: tuple[str, ...], named: dict[str, dict[str, None]]) -> list[str]:
    """Write into `named` what the refusals say; return those that say nothing to write."""
    others: list[str] = []
    for told in failures:
        if match := REWRITTEN.match(told):
            named["kept"][f"{match['file']}::{match['name'].replace('.', '::')}"] = None
        elif match := NAMED.match(told):
            named[match["key"]][match["name"]] = None
        else:
            others.append(told)
    return others


def red_of(work: Trees, tree: str) -> tuple[GateResult, Delivery]:
    """Ask `red` again until nothing is left that its words say how to mend."""
    named: dict[str, dict[str, None]] = {key: {} for key in KEYS}
    told: tuple[str, ...] = ()
    for _ in range(ROUNDS):
        delivery = delivery_of(named)
        found = table.check(GateName.RED, work.context(tree, delivery=delivery))
        if found.verdict is GateVerdict.PASSED:
            return found, delivery
        told = found.failures
        others = do_as_told(told, named)
        if others:
            raise Refused(others)
    raise Refused(told)


@pytest.mark.parametrize("name", PAIRS)
def test_what_a_release_changed_gets_through(name, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "FEEDBACK_MAX_LINES", 1000)
    earlier, later = PAIRS[name]
    try:
        before, after = files_of(earlier, tmp_path / "a"), files_of(later, tmp_path / "b")
    except MissingArchive as missing:
        pytest.skip(str(missing))
    repo = CheckoutFiles(tmp_path / "a", list(before), {"PATH": os.environ["PATH"]})
    target = target_of(find_targets(repo)[0][0])
    tests = {path: text for path, text in after.items() if globs.matches_any(target.tests, path)}
    rest = {
        path: text for path, text in before.items() if not globs.matches_any(target.tests, path)
    }
    with trees(tmp_path / "work", before, (target,)) as work:
        refusal = refusal_of(work, {**rest, **tests}, after)
    assert bool(refusal) == (name in TRUE_REFUSALS), refusal
    assert TRUE_REFUSALS.get(name, "") in refusal


def refusal_of(work: Trees, with_tests: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return why the gates refuse; empty if they do not."""
    try:
        judge(work, with_tests, after)
    except Refused as refused:
        return str(refused)
    return ""


def judge(work: Trees, with_tests: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Go through the gates as a run does. Raises `Refused`."""
    red, delivery = red_of(work, work.tree(with_tests))
    for gate in (GateName.GREEN, GateName.PROOF, GateName.UNTAMPERED):
        found = table.check(gate, work.context(work.tree(after), red, delivery=delivery))
        if found.verdict.blocks:
            raise Refused(found.failures)
