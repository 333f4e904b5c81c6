"""Read a package's npm scripts: which command starts the test runner, and what builds before it.

Set-up runs once for each state of lock files, so what a script builds from source (`tsc`,
`"pretest": "npm run build"`) has to be built again for every tree that is tested: it becomes a part
of the test command. Steps that only check (lint, types, style) are the target's `checks`.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

import msgspec

_CALL = re.compile(
    r"(?:npm|pnpm|yarn|bun)(?: run(?:-script)?| -s| --silent)* ([\w:.-]+)(?: -- .*)?"
)
_OWN_COMMANDS = frozenset({"install", "i", "ci", "audit", "outdated", "exec", "dlx", "add", "link"})
_RUNNER = re.compile(
    r"(?:^|[\s/])(?:vitest|jest|mocha)(?=\s|$)|\breact-scripts test\b|\bnode\b.*--test(?=\s|$)"
)
_OTHER_RUNNERS = frozenset({
    "ava", "borp", "brittle", "jasmine", "karma", "lab", "qunit", "tap", "tape", "ts-mocha", "uvu",
})  # fmt: skip
_WRAPPERS = frozenset({"c8", "nyc", "cross-env", "dotenv", "--"})
_VARIABLES = re.compile(r"^(?:cross-env\s+)?(?:[A-Za-z_]\w*=\S*\s+)*")
_STARTERS = re.compile(
    r"^(?:(?:npx|pnpx|bunx)(?: -y| --yes| --no(?:-install)?)*|(?:pnpm|yarn)(?: exec| dlx)?) "
)
_CHECKERS = frozenset({
    "eslint", "prettier", "standard", "semistandard", "ts-standard", "xo", "biome", "oxlint",
    "stylelint", "tslint", "jshint", "jscs", "tsd", "dtslint", "attw", "publint", "knip",
    "depcheck", "dependency-check", "madge", "cspell", "commitlint", "markdownlint", "remark",
    "size-limit", "type-coverage", "vue-tsc", "echo", "true", ":", "exit", "installed-check",
    "lockfile-lint",
})  # fmt: skip
_CHECKING_NAME = re.compile(
    r"(?:pre|post)?(?:lint|format|fmt|style|prettier|eslint|standard|type-?check|types?:check|check"
    r"|test|audit|tsd|knip|attw)(?:$|[:._-].*)"
)
_CLEANERS = frozenset({"rimraf", "rm", "del", "del-cli", "shx", "mkdir", "mkdirp", "cd"})


_AND = re.compile(r"&&(?=(?:[^\"']|\"[^\"]*\"|'[^']*')*$)")


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the script `test` that starts the runner, and the steps that build before it.

    Without a runner that is known, `text` is the script, or the one that it calls last. With
    `has_several` the script starts more than one, and no single one has all tests.
    """

    text: str
    builds: tuple[str, ...] = ()
    has_several: bool = False


def read_test_script(scripts: Mapping[str, object], *, has_hooks: bool) -> Script:
    """Read the script `test`; with `has_hooks`, scripts named `pre...` run before others."""
    known = {name: text for name, text in scripts.items() if isinstance(text, str)}
    reader = _Reader(known, has_hooks=has_hooks)
    if sum(map(_tests, reader.leaves("test"))) > 1:
        return Script(text=known["test"], has_several=True)
    if (found := reader.read("test")) is not None:
        return msgspec.structs.replace(found, builds=_worth_it(found.builds))
    text = known.get("test", "")
    other = _CALL.fullmatch("".join(_steps(text)[-1:]))
    builds = _Reader(known, has_hooks=has_hooks).builds_before("test")
    return Script(text=known.get(other.group(1), text) if other else text, builds=_worth_it(builds))


def with_builds(command: str, builds: Sequence[str], head: str = "") -> str:
    """Return a command line that builds, and then starts a runner.

    The runner's words stay words of the command line, and its last ones: it is recognised by them,
    and options about its report can be put at the end. It is started after a failed build, too, as
    a new test for what is not there yet may not compile and still has to be seen to fail; the
    command then fails in any case. `head` starts programs of packages.
    """
    if not builds:
        return command
    steps = [one if _CALL.fullmatch(one) or not head else f"{head}{one}" for one in builds]
    script = f'{" && ".join(steps)}; built=$?; "$@" && exit $built'
    return f"sh -c {shlex.quote(script)} sh {command}"


class _Reader:
    """Follows the scripts that others call, each once."""

    def __init__(self, scripts: Mapping[str, str], *, has_hooks: bool) -> None:
        self._scripts = scripts
        self._has_hooks = has_hooks
        self._seen: set[str] = set()

    def read(self, name: str) -> Script | None:
        """Return the part of a script that starts a runner; None without one."""
        self._seen.add(name)
        builds = [*self.builds_before(name)]
        for step in _steps(self._scripts.get(name, "")):
            called = self._called(step)
            if called and called not in self._seen and (inner := self.read(called)):
                return Script(text=inner.text, builds=(*builds, *inner.builds))
            if not called and _RUNNER.search(step):
                return Script(text=step, builds=tuple(builds))
            builds += [] if self._only_checks(step) else [step]
        return None

    def leaves(self, name: str, above: tuple[str, ...] = ()) -> Iterator[str]:
        """Yield the steps of a script, and those of the scripts that it calls in their place."""
        if name in above:
            return
        before = self._scripts.get(f"pre{name}", "") if self._has_hooks else ""
        for step in (*_steps(before), *_steps(self._scripts.get(name, ""))):
            if called := self._called(step):
                yield from self.leaves(called, (*above, name))
            else:
                yield step

    def builds_before(self, name: str) -> tuple[str, ...]:
        """Return what builds in the script that runs before another by its name."""
        steps = _steps(self._scripts.get(f"pre{name}", "")) if self._has_hooks else []
        return tuple(step for step in steps if not self._only_checks(step))

    def _called(self, step: str) -> str:
        match = _CALL.fullmatch(step)
        return match.group(1) if match and match.group(1) in self._scripts else ""

    def _only_checks(self, step: str, depth: int = 0) -> bool:
        if match := _CALL.fullmatch(step):
            called = match.group(1)
            if called in _OWN_COMMANDS or _CHECKING_NAME.fullmatch(called):
                return True
            inner = _steps(self._scripts.get(called, ""))
            return (
                depth < len(self._scripts)
                and bool(inner)
                and all(self._only_checks(one, depth + 1) for one in inner)
            )
        words = _STARTERS.sub("", _VARIABLES.sub("", step)).split()
        program = words[0].rpartition("/")[2] if words else ""
        checks_types = program == "tsc" and bool({"--noEmit", "--no-emit"} & set(words))
        return program in _CHECKERS or checks_types or bool(_RUNNER.search(step))


def _tests(step: str) -> bool:
    """Return whether a step starts a test runner."""
    words = _STARTERS.sub("", _VARIABLES.sub("", step)).split()
    programs = [word.rpartition("/")[2] for word in words if word not in _WRAPPERS]
    program = programs[0] if programs else ""
    is_known = program not in _CHECKERS | _CLEANERS and bool(_RUNNER.search(step))
    return is_known or program in _OTHER_RUNNERS


def _steps(script: str) -> list[str]:
    """Split a script at each `&&` that no quote holds."""
    return [part.strip() for part in _AND.split(script) if part.strip()]


def _worth_it(builds: Sequence[str]) -> tuple[str, ...]:
    """Return steps only if one of them does more than to clear away what was built before."""
    programs = [_VARIABLES.sub("", step).split() for step in builds]
    is_built = any(words and words[0] not in _CLEANERS for words in programs)
    # `{{` would be filled in by the flow.
    return tuple(builds) if is_built and not any("{{" in step for step in builds) else ()
