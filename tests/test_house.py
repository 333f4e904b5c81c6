"""The house rules that no other tool checks: bands, sizes, lazy start, words that do not belong
here.
"""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pipeline"
MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not {"sample", "cassette"} & set(path.relative_to(PACKAGE).parts[1:2])
]
HEAVY = {
    "jinja2",
    "networkx",
    "rich",
    "github",
    "git",
    "anthropic",
    "redis",
    "psycopg",
    "asyncio",
    "yaml",
    "msgspec",
    "filelock",
}


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_modules_and_functions_stay_small(path):
    assert len(path.read_text().splitlines()) <= 400
    for node in functions(path):
        assert (node.end_lineno or 0) - node.lineno < 50, f"{node.name}:{node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_module_and_public_name_says_what_it_is_for(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_packages_hold_tables_and_doors_but_no_modules_of_their_own():
    for path in PACKAGE.rglob("__init__.py"):
        if path in MODULES:
            assert len(path.read_text().splitlines()) <= 90, path


def test_a_public_class_name_stands_once():
    """Whoever reads a name in one file must not have to ask which of two is meant."""
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(path.relative_to(PACKAGE).as_posix())
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


ONE_PLACE = {
    "Journal": ("engine/ground/record.py",),
    "LaunchSpec": ("process/commands.py",),
    "Brief": ("prompts/brief.py",),
    "FlowSource": ("engine/ground/flows.py",),
}
"""What only one module may make: facts on record, commands, what a prompt is given, a flow read."""


@pytest.mark.parametrize("name", list(ONE_PLACE))
def test_what_has_one_maker_is_made_there_alone(name):
    makers = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            made = node.func.value if isinstance(node.func, ast.Attribute) else node.func
            if isinstance(made, ast.Name) and made.id == name:
                makers.append(path.relative_to(PACKAGE).as_posix())
    assert tuple(sorted(set(makers) - {"files/journal.py"})) == ONE_PLACE[name]


def imports_at_load(path: Path) -> set[str]:
    """The modules of ours that loading this one loads, packages around them included."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "pipeline":
                found.update(".".join(parts[:size]) for size in range(1, len(parts) + 1))
    return found


def test_no_circle_at_load_packages_included():
    """Loading a module runs the `__init__` of each package around it: that counts as an import."""
    modules = {}
    for path in MODULES:
        name = ".".join(("pipeline", *path.relative_to(PACKAGE).with_suffix("").parts))
        modules[name.removesuffix(".__init__")] = path
    graph = {}
    for name, path in modules.items():
        around = {name.rpartition(".")[0]} & modules.keys()
        graph[name] = ((imports_at_load(path) & modules.keys()) | around) - {name}
    graphlib.TopologicalSorter(graph).prepare()  # raises `CycleError`, which names the circle


def test_the_bands_are_kept():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("command", ["pipeline", "trigger_workflow", "invoke_agent"])
def test_help_loads_nothing_heavy(command):
    code = (
        f"import sys; sys.argv = ['{command}', '--help']\nfrom pipeline.cli import main\n"
        f"try: main.{command}()\nexcept SystemExit as exc: assert exc.code == 0, exc.code\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().splitlines()[-1] == "[]", done.stderr


def test_no_file_names_a_persons_folder_or_unfinished_work():
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    banned = re.compile(r"/(home|Users|root)/[a-z]|\bTODO\b|\bFIXME\b|\bXXX\b")
    for name in names:
        path = ROOT / name
        if (
            path.suffix in {".py", ".md", ".yaml", ".toml", ".j2", ".sh", ""}
            and path.is_file()
            and path != Path(__file__)
        ):
            assert not banned.search(path.read_text(errors="replace")), name
