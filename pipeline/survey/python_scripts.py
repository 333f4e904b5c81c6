"""How a Python project runs its tests itself: a script as tox runs it, or unittest."""

import re
import shlex

from pipeline.survey.checkout_files import CheckoutFiles, table, within

_SCRIPT = re.compile(r"(?:\{envpython\}|python3?)((?: -\w+)* [\w./-]+\.py(?: [^{}]*)?)")
_UNITTEST = re.compile(r"-m unittest((?: [\w./*-]+)*)(?=[ \t]*(?:$|[\"'#;&|]))", re.MULTILINE)
_QUIET = frozenset(
    {"-v", "-vv", "-q", "-b", "-f", "--verbose", "--quiet", "--buffer", "--failfast"}
)
_NOT_ITS_OWN = frozenset({"setup.py", "manage.py"})


def own_script(repo: CheckoutFiles, folder: str, python: str) -> str:
    """Return the command by which tox runs a script that runs the tests; empty if it runs none.

    pytest would not have the settings that such a script makes before it starts.
    """
    env = table(repo.ini(within(folder, "tox.ini")), "testenv")
    lines = [line.strip() for line in str(env.get("commands", "")).splitlines()]
    plain = [re.sub(r"\{posargs[^}]*\}", "", line).strip() for line in lines]
    commands = [line for line in plain if line]
    match = _SCRIPT.fullmatch(commands[0]) if len(commands) == 1 else None
    at = re.sub(r"^\{toxinidir\}/?", "", str(env.get("changedir", ""))).strip("/")
    words = match.group(1).split() if match else []
    script = next((word for word in words if word.endswith(".py")), "")
    if not script or script in _NOT_ITS_OWN or not repo.has(folder, within(at, script)):
        return ""
    command = " ".join([python, *words])
    return f"sh -c {shlex.quote(f'cd {at} && {command}')}" if at else command


def unittest_command(repo: CheckoutFiles, folder: str, python: str) -> tuple[str, str]:
    """Return the command by which a project runs unittest itself, and the file that has it."""
    for name in ("tox.ini", "pyproject.toml", "noxfile.py", "Makefile"):
        text = re.sub(
            r"\{(?:args|posargs):?([^}]*)\}", r"\1", repo.text(within(folder, name))
        ).replace("{toxinidir}/", "")
        if match := _UNITTEST.search(text):
            words = [word for word in match.group(1).split() if word not in _QUIET]
            return " ".join([python, "-m", "unittest", *words]), within(folder, name)
    return "", ""
