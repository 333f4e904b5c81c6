"""How to install a JavaScript package's dependencies, and which checks and formatters it uses."""

import re
from typing import Any

import msgspec

from pipeline.survey.checkout_files import Addition, CheckoutFiles, cd, table, within

_BIN = "node_modules/.bin"
_ESLINT = re.compile(r"(?:^|/)(?:eslint\.config\.[cm]?[jt]s|\.eslintrc(?:\.\w+)?)$")
_PRETTIER = re.compile(r"(?:^|/)(?:\.prettierrc(?:\.\w+)?|prettier\.config\.[cm]?[jt]s)$")
_FORMATS = {
    "prettier --check .": "prettier --log-level=warn --ignore-unknown --write {files}",
    "biome check": "biome format --write {files}",
}
_LOCKS = (
    ("pnpm-lock.yaml", "pnpm", "pnpm install --frozen-lockfile"),
    ("yarn.lock", "yarn", "yarn install --frozen-lockfile"),
    ("bun.lock", "bun", "bun install --frozen-lockfile"),
    ("bun.lockb", "bun", "bun install --frozen-lockfile"),
    ("package-lock.json", "npm", "npm ci --no-audit --no-fund"),
    ("npm-shrinkwrap.json", "npm", "npm ci --no-audit --no-fund"),
)


class JavaScriptChecks(msgspec.Struct, frozen=True, kw_only=True):
    """The checks and formatters of a package.

    `missing` are checks whose program is not installed.
    """

    checks: tuple[str, ...]
    format: tuple[str, ...]
    missing: tuple[str, ...]


def dependencies(package: dict[str, Any]) -> dict[str, Any]:
    """Return all kinds of dependencies of a package, by name."""
    kinds = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
    return {name: version for kind in kinds for name, version in table(package, kind).items()}


def package_manager(repo: CheckoutFiles, folder: str) -> str:
    """Return the package manager whose lock file is in the folder or else in the root.

    Without a lock file it is npm.
    """
    names = (
        name for at in dict.fromkeys((folder, "")) for lock, name, _ in _LOCKS if repo.has(at, lock)
    )
    return next(names, "npm")


def is_pnp(repo: CheckoutFiles, folder: str) -> bool:
    """Return whether yarn installs without `node_modules` (Plug'n'Play).

    Programs of packages must then be started through `yarn`.
    """
    if not is_berry(repo, folder):
        return False
    at = folder if repo.has(folder, "yarn.lock") else ""
    text = repo.text(within(at, ".yarnrc.yml"))
    # Since yarn 2 Plug'n'Play is the default.
    return "nodeLinker: node-modules" not in text and "nodeLinker: pnpm" not in text


def is_berry(repo: CheckoutFiles, folder: str) -> bool:
    """Return whether yarn is at least version 2, which runs no scripts named `pre...`."""
    at = next((at for at in (folder, "") if repo.has(at, "yarn.lock")), None)
    # Yarn 1 leaves neither sign.
    return at is not None and (
        bool(repo.has(at, ".yarnrc.yml")) or "__metadata:" in repo.text(within(at, "yarn.lock"))
    )


def setup(repo: CheckoutFiles, folder: str) -> tuple[str, ...]:
    """Return the command that installs the dependencies.

    It belongs to the package manager whose lock file is in the folder, or else in the root.
    """
    if not any(dependencies(repo.json(within(at, "package.json"))) for at in {folder, ""}):
        return ()
    for at in dict.fromkeys((folder, "")):
        for lock, name, command in _LOCKS:
            if not repo.has(at, lock):
                continue
            berry = name == "yarn" and "__metadata:" in repo.text(within(at, lock))
            berry = berry or (name == "yarn" and bool(repo.has(at, ".yarnrc.yml")))
            return (f"{cd(at)}{'yarn install --immutable' if berry else command}",)
    at = "" if repo.json("package.json").get("workspaces") else folder
    return (f"{cd(at)}npm install --no-audit --no-fund --no-package-lock",)


def find_checks(repo: CheckoutFiles, folder: str, package: dict[str, Any]) -> JavaScriptChecks:
    """Return what a package uses, according to its own configuration or the root's."""
    root = repo.json("package.json")
    wanted = {**dependencies(root), **dependencies(package)}
    files = [path for path in repo.below("") if "/" not in path] + repo.below(folder)
    prettier = _has_prettier(files, package) or "prettier" in root
    uses = [
        ("eslint", "eslint .", any(map(_ESLINT.search, files)) or "eslintConfig" in package),
        ("prettier", "prettier --check .", prettier),
        ("typescript", "tsc --noEmit", bool(repo.has(folder, "tsconfig.json"))),
        ("@biomejs/biome", "biome check", bool(repo.has(folder, "biome.json", "biome.jsonc"))),
    ]
    head = "yarn " if is_pnp(repo, folder) else ""
    checks, style, missing = [], [], []
    for name, command, is_used in uses:
        if not is_used:
            continue
        if name not in wanted and not repo.has_program(command.split()[0], _BIN):
            missing.append(command)
            continue
        checks.append(head + command)
        style += [head + _FORMATS[command]] if command in _FORMATS else []
    return JavaScriptChecks(checks=tuple(checks), format=tuple(style), missing=tuple(missing))


def additions(repo: CheckoutFiles) -> list[Addition]:
    """Exclude `agents/` from a prettier that checks the whole repository."""
    files = [path for path in repo.below("") if "/" not in path]
    if not _has_prettier(files, repo.json("package.json")) or "agents" in repo.text(
        ".prettierignore"
    ):
        return []
    why = "prettier would report agents/, which it has not formatted"
    return [Addition(path=".prettierignore", text="/agents/\n", why=why)]


def _has_prettier(files: list[str], package: dict[str, Any]) -> bool:
    return any(map(_PRETTIER.search, files)) or "prettier" in package
