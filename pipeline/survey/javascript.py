"""JavaScript and TypeScript: the packages of package.json and its workspaces, their runner, lint, types and style."""

import re
from collections.abc import Iterator
from typing import Any

from pipeline.survey.look import Look, Part, within

_BIN = "node_modules/.bin"
_CODE = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx")
_TEST_FOLDERS = ("test", "tests", "__tests__", "spec")
_BESIDE = re.compile(r"\.(test|spec)\.[cm]?[jt]sx?$")
_CONFIG = ("package.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock", "npm-shrinkwrap.json", "tsconfig.json")
_ESLINT = re.compile(r"(?:^|/)(?:eslint\.config\.[cm]?[jt]s|\.eslintrc(?:\.\w+)?)$")
_PRETTIER = re.compile(r"(?:^|/)(?:\.prettierrc(?:\.\w+)?|prettier\.config\.[cm]?[jt]s)$")


def find(look: Look) -> Iterator[Part]:
    """Go through the packages that have tests."""
    folders = look.named("package.json")
    for folder in folders:
        package = look.json(within(folder, "package.json"))
        inner = [
            f"{other}/" for other in folders if other != folder and other.startswith(f"{folder}/" if folder else "")
        ]
        files = [path for path in look.below(folder) if not within(folder, path).startswith(tuple(inner))]
        code = [path for path in files if path.endswith(_CODE)]
        tests = _tests(code)
        command, runner, why = _command(look, folder, package)
        if not code or not command or (folder and not tests):
            continue
        if not tests and "workspaces" in package:
            continue
        yield _part(look, folder, package, (code, tests or ["test/**"]), (command, runner, why))


def _part(
    look: Look, folder: str, package: dict[str, Any], found: tuple[list[str], list[str]], how: tuple[str, str, str]
) -> Part:
    code, tests = found
    command, runner, why = how
    checks, style, missing = _tools(look, folder, package)
    config = [name for name in _CONFIG if look.has(folder, name)]
    typed = any(path.endswith((".ts", ".tsx", ".mts", ".cts")) for path in code)
    return Part(
        name=str(package.get("name") or folder.rpartition("/")[2] or look.root.name).rpartition("/")[2],
        language="TypeScript" if typed else "JavaScript",
        folder=folder,
        source=tuple(within(folder, glob) for glob in (*_source(code, tests), *config)),
        tests=tuple(within(folder, glob) for glob in tests),
        command=command,
        exit_code_only=runner == "exit-code",
        runner="" if runner == "exit-code" else runner,
        checks=tuple(checks),
        format=tuple(style),
        setup=_setup(look, folder),
        missing=tuple(missing),
        why=why,
    )


def _tests(code: list[str]) -> list[str]:
    """List the patterns of tests: folders by their usual names, and files that say it in their ending."""
    found = [f"{name}/**" for name in _TEST_FOLDERS if any(path.startswith(f"{name}/") for path in code)]
    beside = {match.group(1) for path in code if (match := _BESIDE.search(path)) and not _is_in(path, found)}
    found += [f"**/*.{word}.*" for word in sorted(beside)]
    if any("/__tests__/" in path for path in code):
        found.append("**/__tests__/**")
    if any(path in {"test.js", "test.mjs", "test.cjs", "test.ts"} for path in code):
        found.append("test.*")
    return found


def _source(code: list[str], tests: list[str]) -> list[str]:
    for folder in ("src", "lib", "source"):
        if any(path.startswith(f"{folder}/") for path in code):
            return [f"{folder}/**"]
    tops = {path.partition("/")[0] for path in code if "/" in path and not _is_in(path, tests)}
    root = any("/" not in path for path in code)
    return [
        *sorted(f"{top}/**" for top in tops if top[0] != "."),
        *(["*.js", "*.mjs", "*.cjs", "*.ts"] if root else []),
    ]


def _is_in(path: str, folders: list[str]) -> bool:
    return any(path.startswith(folder.removesuffix("**")) for folder in folders if folder.endswith("/**"))


def _command(look: Look, folder: str, package: dict[str, Any]) -> tuple[str, str, str]:
    """Return the test command, its runner (where the command does not show it) and by what that is told."""
    script = str(package.get("scripts", {}).get("test") or "")
    where = within(folder, "package.json")
    wanted = {**_dependencies(look.json("package.json")), **_dependencies(package)}
    if "vitest" in script or ("vitest" in wanted and "jest" not in script):
        return "vitest run", "", f"{where} names vitest"
    if "jest" in script or "jest" in wanted:
        return "jest", "", f"{where} names jest"
    if re.search(r"\bnode\b.*--test\b", script):
        plain = re.search(r"node\s[^&|;]*--test[^&|;]*", script)
        return (plain.group().strip() if plain else "node --test"), "", f"the script `test` of {where}"
    if re.search(r"\bmocha\b", script):
        plain = re.search(r"mocha[^&|;]*", script)
        words = plain.group().strip() if plain else "mocha"
        return f"{words} --reporter xunit --reporter-option output={{report}}", "", f"the script `test` of {where}"
    if script and "no test specified" not in script:
        return "npm test --silent", "exit-code", f"the script `test` of {where}; its report is not known"
    return "", "", ""


def _dependencies(package: dict[str, Any]) -> dict[str, Any]:
    return {**package.get("dependencies", {}), **package.get("devDependencies", {})}


def _setup(look: Look, folder: str) -> tuple[str, ...]:
    """Say what brings the dependencies: the package manager whose lock file lies there, here or in the root."""
    if not any(_dependencies(look.json(within(at, "package.json"))) for at in {folder, ""}):
        return ()
    for at in dict.fromkeys((folder, "")):
        head = f"cd {at} && " if at else ""
        if look.has(at, "pnpm-lock.yaml"):
            return (f"{head}pnpm install --frozen-lockfile",)
        if look.has(at, "yarn.lock"):
            berry = look.has(at, ".yarnrc.yml") != ""
            return (f"{head}yarn install {'--immutable' if berry else '--frozen-lockfile'}",)
        if look.has(at, "package-lock.json", "npm-shrinkwrap.json"):
            return (f"{head}npm ci --no-audit --no-fund",)
    at = "" if look.json("package.json").get("workspaces") else folder
    return (f"{f'cd {at} && ' if at else ''}npm install --no-audit --no-fund --no-package-lock",)


def _tools(look: Look, folder: str, package: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """List checks, formatters, and the checks whose program nothing brings."""
    root = look.json("package.json")
    wanted = {**_dependencies(root), **_dependencies(package)}
    files = [path for path in look.files if "/" not in path or path.startswith(f"{folder}/")]
    prettier = any(map(_PRETTIER.search, files)) or "prettier" in package or "prettier" in root
    uses = [
        ("eslint", "eslint .", any(map(_ESLINT.search, files)) or "eslintConfig" in package),
        ("prettier", "prettier --check .", prettier),
        ("typescript", "tsc --noEmit", bool(look.has(folder, "tsconfig.json"))),
        ("@biomejs/biome", "biome check", bool(look.has(folder, "biome.json", "biome.jsonc"))),
    ]
    checks, style, missing = [], [], []
    for name, command, is_used in uses:
        if not is_used:
            continue
        if name not in wanted and not look.finds(command.split()[0], _BIN):
            missing.append(command)
            continue
        checks.append(command)
        style += {
            "prettier --check .": ["prettier --log-level=warn --write {files}"],
            "biome check": ["biome format --write {files}"],
        }.get(command, [])
    return checks, style, missing
