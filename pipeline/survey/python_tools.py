"""The checkers and formatters that a Python project uses, by its own configuration and its pre-commit hooks."""

import re

import msgspec

from pipeline.survey.look import Look, table, within

_FORMATS = {
    "ruff format --check": "ruff format --quiet {files}",
    "black --check --quiet .": "black --quiet {files}",
    "isort --check-only .": "isort --quiet {files}",
}


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """Checks and formatters as command lines; `pins` are their programs for pip, with pre-commit's version."""

    pins: dict[str, str]
    checks: list[str]
    format: list[str]


def tools(look: Look, folder: str, source: list[str]) -> Tools:
    """List what a project uses."""
    tool = table(look.toml(within(folder, "pyproject.toml")), "tool")
    hooks = look.text(within(folder, ".pre-commit-config.yaml")) or look.text(".pre-commit-config.yaml")
    texts = look.text(within(folder, "setup.cfg")) + look.text(within(folder, "tox.ini"))
    roots = " ".join(sorted({glob.partition("/")[0] for glob in source}))
    ruff = "ruff" in tool or bool(look.has(folder, "ruff.toml", ".ruff.toml"))
    mypy = bool(look.has(folder, "mypy.ini", ".mypy.ini")) or "[mypy" in texts
    named = {"files", "packages", "modules"} & set(table(tool, "mypy"))
    wanted = [
        ("ruff", "ruff check", ruff or re.search(r"id: ruff(?:-check)?\s*$", hooks, re.MULTILINE)),
        ("ruff", "ruff format --check", "format" in table(tool, "ruff") or "id: ruff-format" in hooks),
        ("black", "black --check --quiet .", "black" in tool or "id: black" in hooks),
        ("isort", "isort --check-only .", "isort" in tool or "id: isort" in hooks),
        ("flake8", f"flake8 {roots}", look.has(folder, ".flake8") or "[flake8]" in texts),
        ("mypy", "mypy" if named else f"mypy {roots}", "mypy" in tool or mypy),
        ("pyright", "pyright", "pyright" in tool or look.has(folder, "pyrightconfig.json")),
    ]
    pins: dict[str, str] = {}
    checks = []
    for program, command, is_used in wanted:
        if is_used:
            pin = re.search(rf"repo:\s*\S*{program}\S*\s+rev:\s*[\"']?v?([\d.]+)", hooks)
            pins[program] = f"{program}=={pin.group(1)}" if pin else program
            checks.append(command)
    return Tools(pins=pins, checks=checks, format=[_FORMATS[one] for one in checks if one in _FORMATS])
