"""Submodules: which ones a repository has, and the set-up that brings them into workspaces.

A workspace is a checkout of a tree, in which a submodule is an empty folder. Set-up clones it from
its own address, and runs again when the commit changes that the tree names (`inputs`).
"""

import re
import shlex
from collections.abc import Sequence

import msgspec

from pipeline.survey.checkout_files import CheckoutFiles, Fact, FoundTarget

_FILE = ".gitmodules"
_SECTION = re.compile(r'submodule "(.+)"')
_USER = re.compile(r"^(https?://)[^/@]*@")


class _Submodule(msgspec.Struct, frozen=True):
    """One submodule; `url` is empty if only a remote, which is not there, could say where it is."""

    name: str
    path: str
    url: str
    is_relative: bool


def with_submodules(
    repo: CheckoutFiles, targets: Sequence[FoundTarget], remote: str
) -> tuple[list[FoundTarget], list[Fact]]:
    """Let set-up begin with the submodules; `remote` is the address that theirs may start from."""
    found = _find(repo, remote)
    reached = [one for one in found if one.url]
    why = "set-up clones it, as workspaces do not have it"
    facts = [Fact(what="submodule", value=one.path, why=why) for one in reached]
    facts += [
        Fact(
            what="submodule",
            value=one.path,
            why="its address starts from the remote's, and there is none: workspaces lack it",
        )
        for one in found
        if not one.url
    ]
    if not reached:
        return list(targets), facts
    command = _command(reached, is_all=len(reached) == len(found))
    inputs = (_FILE, *(one.path for one in reached))
    return [
        msgspec.structs.replace(one, setup=(command, *one.setup), inputs=(*one.inputs, *inputs))
        for one in targets
    ], facts


def _find(repo: CheckoutFiles, remote: str) -> list[_Submodule]:
    found = []
    for section, values in repo.ini(_FILE).items():
        match = _SECTION.fullmatch(section)
        path, url = values.get("path", ""), values.get("url", "")
        # What an import has turned into files of the repository's own is no submodule any more.
        if match and repo.is_tracked(path) and url and values.get("update") != "none":
            is_relative = url.startswith(("./", "../"))
            address = _resolved(url, remote) if is_relative else url
            found.append(_Submodule(match.group(1), path, address, is_relative))
    return found


def _command(submodules: Sequence[_Submodule], *, is_all: bool) -> str:
    """Return the command that clones submodules, without the files that would say where from.

    A file `.git` in a workspace would name a folder that is not there, and stop git from working.
    """
    addresses = [
        f"-c {shlex.quote(f'submodule.{one.name}.url={one.url}')} "
        for one in submodules
        if one.is_relative
    ]
    paths = " ".join(shlex.quote(one.path) for one in submodules)
    only = "" if is_all else f" -- {paths}"
    update = f"git {''.join(addresses)}submodule update --quiet --init --recursive{only}"
    return f"{update} && find {paths} -name .git -type f -delete"


def _resolved(url: str, remote: str) -> str:
    """Return the address that a relative one means, by git's rules; empty if there is none."""
    base, mark = _USER.sub(r"\1", remote).rstrip("/"), "/"
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            cut = max(base.rfind("/"), base.rfind(":"))
            if cut <= 0 or base[:cut].endswith("/"):
                return ""
            base, mark = base[:cut], base[cut]
        url = url.partition("/")[2]
    return f"{base}{mark}{url}" if base else ""
