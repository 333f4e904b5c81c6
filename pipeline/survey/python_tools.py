"""Find a Python project's checkers and formatters, in its configuration and pre-commit hooks."""

import shlex
from typing import Any

import msgspec

from pipeline.survey.checkout_files import CheckoutFiles, table, within

_FORMATS = {
    "ruff format --check{args}": "ruff format --quiet{args} {files}",
    "black --check{args} .": "black --quiet{args} {files}",
    "isort --check-only{args} .": "isort --quiet{args} {files}",
}
_OF_HOOKS = frozenset({
    "--fix", "--exit-non-zero-on-fix", "--unsafe-fixes", "--show-fixes", "--check", "--check-only",
    "--diff", "--quiet", "-q", "--verbose", "-v", "--filter-files", "--force-exclude",
})  # fmt: skip
"""Options of hooks about fixing, printing and files; our commands have their own."""


class PythonChecks(msgspec.Struct, frozen=True, kw_only=True):
    """Checks and formatters as command lines.

    `pins` are the requirements of their programs for pip, with the version of pre-commit.
    """

    pins: dict[str, str]
    checks: list[str]
    format: list[str]


class _Hook(msgspec.Struct, frozen=True):
    """One hook of pre-commit: its repository's revision, and the arguments of its program."""

    rev: str = ""
    args: str = ""


def find_checks(repo: CheckoutFiles, folder: str, source: list[str]) -> PythonChecks:
    """Return the checkers and formatters that a project uses."""
    tool = table(repo.toml(within(folder, "pyproject.toml")), "tool")
    hooks = _hooks(repo, folder) or _hooks(repo, "")
    texts = repo.text(within(folder, "setup.cfg")) + repo.text(within(folder, "tox.ini"))
    roots = " ".join(sorted({glob.partition("/")[0] for glob in source}))
    ruff = "ruff" in tool or bool(repo.has(folder, "ruff.toml", ".ruff.toml"))
    mypy = bool(repo.has(folder, "mypy.ini", ".mypy.ini")) or "[mypy" in texts
    named = {"files", "packages", "modules"} & set(table(tool, "mypy"))
    wanted: list[tuple[str, bool, tuple[str, ...]]] = [
        ("ruff check{args}", ruff, ("ruff-check", "ruff")),
        ("ruff format --check{args}", "format" in table(tool, "ruff"), ("ruff-format",)),
        ("black --check{args} .", "black" in tool, ("black", "black-jupyter")),
        ("isort --check-only{args} .", "isort" in tool, ("isort",)),
        (f"flake8 {roots}", bool(repo.has(folder, ".flake8")) or "[flake8]" in texts, ()),
        ("mypy" if named else f"mypy {roots}", "mypy" in tool or mypy, ()),
        ("pyright", "pyright" in tool or bool(repo.has(folder, "pyrightconfig.json")), ()),
    ]
    pins: dict[str, str] = {}
    checks, style = [], []
    for command, is_configured, ids in wanted:
        hook = next((hooks[name] for name in ids if name in hooks), None)
        if is_configured or hook is not None:
            program = command.split()[0]
            rev = (hook or hooks.get(program) or _Hook()).rev
            pins[program] = f"{program}=={rev}" if rev else pins.get(program, program)
            args = hook.args if hook is not None else ""
            checks.append(command.replace("{args}", args))
            style += [_FORMATS[command].replace("{args}", args)] if command in _FORMATS else []
    return PythonChecks(pins=pins, checks=checks, format=style)


def _hooks(repo: CheckoutFiles, folder: str) -> dict[str, _Hook]:
    """Return a folder's hooks by their ids; of several with the same id, the first."""
    hooks: dict[str, _Hook] = {}
    for source in _tables(repo.yaml(within(folder, ".pre-commit-config.yaml")).get("repos")):
        rev = str(source.get("rev", "")).removeprefix("v")
        for hook in _tables(source.get("hooks")):
            args = hook.get("args")
            words = [str(word) for word in args] if isinstance(args, list) else []
            options = "".join(f" {shlex.quote(word)}" for word in words if word not in _OF_HOOKS)
            version = rev if rev[:1].isdigit() else ""
            hooks.setdefault(str(hook.get("id", "")), _Hook(version, options))
    return hooks


def _tables(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
