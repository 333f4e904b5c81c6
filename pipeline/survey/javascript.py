"""Find JavaScript and TypeScript targets: every package.json with a test command.

Its test runner, and its checks for lint, types and style, come from the package and its scripts.
"""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pipeline.survey.checkout_files import CheckoutFiles, FoundTarget, table, within
from pipeline.survey.javascript_scripts import read_test_script, with_builds
from pipeline.survey.javascript_setup import (
    dependencies,
    find_checks,
    is_berry,
    is_pnp,
    package_manager,
    setup,
)

_CODE = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte")
_TEST_FOLDERS = ("test", "tests", "__tests__", "spec")
_NOT_SOURCE = frozenset({
    "doc", "docs", "example", "examples", "benchmark", "benchmarks", "demo", "website", "dist",
    "build", "coverage", "config", "scripts", "e2e",
})  # fmt: skip
_BESIDE = re.compile(r"\.(test|spec)\.[cm]?[jt]sx?$")
_CONFIG = (
    "package.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock", "npm-shrinkwrap.json",
    "bun.lock", "tsconfig.json",
)  # fmt: skip
_WITH_ONE = ("--reporter", "-R", "--outputFile")
_WITH_MANY = re.compile(r"--reporters|--coverage(?:\.\w+|[A-Z]\w*)")
"""Options that are dropped together with the values in the words after them.

`--reporters` and the options about coverage take any number of values, the others one.
"""
_BAIL = re.compile(r"(?<!\S)(?:--bail(?:=\S+|\s+\d+)?|-b)(?!\S)")
"""Options by which no test runs after the first failure: gates need to see all of them."""

_NOT_KEPT = re.compile(
    r"^(?:--coverage|--watch|--ui|--reporter|--json|--outputFile|--ci$|--silent$|-w$|--passWithNoTests$)"
)


def find(repo: CheckoutFiles) -> Iterator[FoundTarget]:
    """Yield the packages that have a test command."""
    folders = repo.folders_with("package.json")
    for folder in folders:
        package = repo.json(within(folder, "package.json"))
        code = [path for path in repo.below(folder, folders) if path.endswith(_CODE)]
        tests = _tests(code)
        how = _command(repo, folder, package)
        is_root_of_many = "workspaces" in package or bool(repo.has(folder, "pnpm-workspace.yaml"))
        if code and how[0] and (tests or not (folder or is_root_of_many)):
            yield _target(repo, folder, package, (code, tests), how)


def _target(
    repo: CheckoutFiles,
    folder: str,
    package: dict[str, Any],
    files: tuple[list[str], list[str]],
    how: tuple[str, str, str],
) -> FoundTarget:
    code, tests = files
    command, runner, why = how
    used = find_checks(repo, folder, package)
    config = [name for name in _CONFIG if repo.has(folder, name)]
    typed = any(path.endswith((".ts", ".tsx", ".mts", ".cts")) for path in code)
    name = str(package.get("name") or folder.rpartition("/")[2] or repo.root.name)
    return FoundTarget(
        name=name.rpartition("/")[2],
        language="TypeScript" if typed else "JavaScript",
        folder=folder,
        source=tuple(
            within(folder, glob) for glob in (*_source(code, tests, _named(package)), *config)
        ),
        tests=tuple(within(folder, glob) for glob in tests or ["test/**"]),
        command=command,
        exit_code_only=runner == "exit-code",
        runner="" if runner == "exit-code" else runner,
        checks=used.checks,
        format=used.format,
        setup=setup(repo, folder),
        missing=used.missing,
        package=name,
        wants=tuple(dependencies(package)),
        is_tested=bool(tests),
        why=why,
    )


def _tests(code: list[str]) -> list[str]:
    """Return the patterns of tests: folders by their usual names, and files by their endings."""
    patterns = [
        f"{name}/**" for name in _TEST_FOLDERS if any(path.startswith(f"{name}/") for path in code)
    ]
    beside = {
        match.group(1)
        for path in code
        if (match := _BESIDE.search(path)) and not _is_in(path, patterns)
    }
    patterns += [f"**/*.{word}.*" for word in sorted(beside)]
    if any("/__tests__/" in path for path in code):
        patterns.append("**/__tests__/**")
    if any(path in {"test.js", "test.mjs", "test.cjs", "test.ts"} for path in code):
        patterns.append("test.*")
    return patterns


def _named(package: dict[str, Any]) -> set[str]:
    """Return the files that package.json names as what others import or run."""
    values: list[Any] = [
        package.get("main"),
        package.get("module"),
        package.get("exports"),
        package.get("bin"),
    ]
    names = set()
    while values:
        one = values.pop()
        values += one.values() if isinstance(one, dict) else one if isinstance(one, list) else []
        names |= {one.removeprefix("./")} if isinstance(one, str) else set()
    return names


def _source(code: list[str], tests: list[str], named: set[str]) -> list[str]:
    tops = {path.partition("/")[0] for path in code if "/" in path and not _is_in(path, tests)}
    own = [
        f"{top}/**"
        for top in sorted(tops)
        if top[0] != "." and top not in _NOT_SOURCE and f"{top}/**" not in tests
    ]
    if "src/**" in own or "lib/**" in own:
        return [*own, *(path for path in code if path in named and "/" not in path)]
    endings = sorted({path.rpartition(".")[2] for path in code if "/" not in path})
    return [*own, *(f"*.{ending}" for ending in endings)]


def _is_in(path: str, folders: list[str]) -> bool:
    return any(
        path.startswith(folder.removesuffix("**")) for folder in folders if folder.endswith("/**")
    )


def _command(repo: CheckoutFiles, folder: str, package: dict[str, Any]) -> tuple[str, str, str]:
    """Return the test command, its runner (if the command does not show it), and the evidence."""
    where = within(folder, "package.json")
    read = read_test_script(table(package, "scripts"), has_hooks=not is_berry(repo, folder))
    head = "yarn " if is_pnp(repo, folder) else ""
    command, runner, why = _runner(repo, folder, package, read.text, head)
    if command and not read.has_several:
        built = f"; it builds first: {'; '.join(read.builds)}" if read.builds else ""
        return with_builds(command, read.builds, head), runner, f"{why}{built}"
    script = str(table(package, "scripts").get("test") or "")
    if script and "no test specified" not in script:
        manager = package_manager(repo, folder)
        # `bun test` is bun's own runner, whatever the script says.
        unknown = (
            "it starts several test runners"
            if read.has_several
            else "the format of its report is unknown"
        )
        run = "bun run test" if manager == "bun" else f"{manager} test"
        return (
            run + (" --silent" if manager == "npm" else ""),
            "exit-code",
            f"the script `test` of {where}; {unknown}",
        )
    return "", "", ""


def _runner(
    repo: CheckoutFiles, folder: str, package: dict[str, Any], script: str, head: str
) -> tuple[str, str, str]:
    """Return the command of a runner whose report is known, as `_command` does; or empty texts."""
    where = within(folder, "package.json")
    why = f"the script `test` of {where}"
    wanted = {**dependencies(repo.json("package.json")), **dependencies(package)}
    names_other = re.search(r"\b(?:mocha|--test)\b", script)
    if "vitest" in script or ("vitest" in wanted and "jest" not in script and not names_other):
        words = [word for word in _words(script, "vitest") if word not in {"run", "watch", "dev"}]
        return " ".join([f"{_env(script)}{head}vitest run", *words]), "", f"{where} names vitest"
    if "react-scripts test" in script:
        return "env CI=true react-scripts test", "jest", why
    if "jest" in script or ("jest" in wanted and not names_other):
        words = _words(script, "jest")
        return " ".join([f"{_env(script)}{head}jest", *words]), "", f"{where} names jest"
    if re.search(r"\bnode\b.*--test\b", script) and not _is_built(repo, folder, script):
        plain = re.search(r"node\s[^&|;]*--test[^&|;]*", script)
        return f"{_env(script)}{head}{plain.group().strip() if plain else 'node --test'}", "", why
    if re.search(r"(?:^|[\s/])mocha\b", script):
        words = [*_words(script, "mocha"), "--reporter xunit", "--reporter-option output={report}"]
        return " ".join([f"{_env(script)}{head}mocha", *words]), "", why
    return "", "", ""


def _is_built(repo: CheckoutFiles, folder: str, script: str) -> bool:
    """Return whether `node --test` gets files that only a preceding build step creates."""
    match = re.search(r"--test(?=\s)([^&|;]*)", script)
    words = [word.strip("\"'") for word in match.group(1).split()] if match else []
    paths = [
        word
        for before, word in pairwise(["", *words])
        if word[:1] != "-" and (before[:1] != "-" or "=" in before)
    ]
    named = [path.removeprefix("./").rstrip("/") for path in paths if "*" not in path]
    return any(
        path and not repo.below(within(folder, path)) and not repo.has(folder, path)
        for path in named
    )


def _words(script: str, program: str) -> list[str]:
    """Return the arguments that a script gives a program, without those about its report.

    Empty when only a shell could parse them.
    """
    match = re.search(rf"(?:^|[\s/]){program}((?:\s+[^&|;]*)?)(?:$|[&|;])", script)
    text = _BAIL.sub("", match.group(1)) if match else ""
    try:
        words = [] if re.search(r"[`$<>(){}\\]", text) else shlex.split(text)
    except ValueError:  # for example a quoted argument with a `&`, cut off by the pattern above
        return []
    kept: list[str] = []
    dropped = 0
    for word in words:
        if word.startswith("-"):
            dropped = 1 if word in _WITH_ONE else len(text) if _WITH_MANY.fullmatch(word) else 0
        elif dropped:
            dropped -= 1
            continue
        if not _NOT_KEPT.match(word) and word not in _WITH_ONE:
            kept.append(shlex.quote(word) if re.search(r"[^\w@%+=:,./*-]", word) else word)
    return kept


def _env(script: str) -> str:
    """Return the start of a command that sets the same variables as a script, through `env`."""
    match = re.match(r"(?:cross-env )?((?:[A-Z][A-Z0-9_]*=[\w./:=-]+ )+)", script)
    if match:
        return f"env {match.group(1)}"
    # Jest runs ES modules only with this option of node; the `node` that had it is dropped here.
    return (
        "env NODE_OPTIONS=--experimental-vm-modules "
        if "--experimental-vm-modules" in script
        else ""
    )
