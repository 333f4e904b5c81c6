"""Tests in the text of Python: what each of them does, with all that its own file adds to it.

Not only the body decides what a test says: a default argument, a decorator, a later binding of its
name, a base class, a method that it calls and a condition around it do as well. Parameters are
free, and so are fixtures, comments and layout.
"""

import ast
from collections.abc import Iterator
from typing import TypeGuard

import msgspec

from pipeline.gates.reading import IsReported, TestFunction

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Compound = (
    ast.If | ast.Try | ast.TryStar | ast.With | ast.AsyncWith | ast.For | ast.While | ast.Match
)
_NotLoose = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_SET_UP = {
    "setUp", "asyncSetUp", "setUpClass", "setUpTestData", "setup_method", "setup_class", "setup",
    "run", "debug",
}  # fmt: skip
_ASSERTS = ("assert", "expect", "check", "verify", "raises", "warns", "fail")


def python_functions(text: str, is_reported: IsReported) -> Iterator[TestFunction]:
    """Yield the tests of a Python file; nothing for a text that cannot be parsed."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    module = _Module(tree, is_reported)
    module.read(tree.body, _Place())
    for name, found in module.found.items():
        yield module.function(name, found)


def asserting_helpers(text: str) -> frozenset[str]:
    """Return the functions of a Python file that are no tests and compare something for them.

    Methods have the name of their class in front; nothing for a text that cannot be parsed.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return frozenset()
    found: set[str] = set()
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        owner, at = waiting.pop()
        for node in ast.iter_child_nodes(at):
            inside = f"{owner}{node.name}." if isinstance(node, ast.ClassDef) else owner
            waiting.append((inside, node))
            if _is_function(node) and not node.name.startswith("test") and _asserts(node):
                found.add(f"{owner}{node.name}")
    return frozenset(found)


class _Place(msgspec.Struct, frozen=True):
    """Where a statement stands: in which classes, under which conditions, in a function or not."""

    classes: tuple[ast.ClassDef, ...] = ()
    conditions: str = ""
    is_made: bool = False

    @property
    def is_plain(self) -> bool:
        return not self.conditions and not self.is_made


class _Found(msgspec.Struct):
    """What binds the name of one test, in order, and where."""

    place: _Place
    nodes: list[tuple[str, ast.stmt]]


class _Loose(msgspec.Struct, frozen=True):
    """A statement of the file itself that may reach into a test, its classes, or what it calls."""

    node: ast.stmt
    says: frozenset[str]
    owners: frozenset[str]
    sets: frozenset[str]

    @classmethod
    def of(cls, node: ast.stmt) -> "_Loose":
        """Read a statement once, for all tests of the file."""
        words = set(_words(node))
        texts = {
            one.value
            for one in ast.walk(node)
            if isinstance(one, ast.Constant) and isinstance(one.value, str)
        }
        targets = {
            one.attr
            for one in ast.walk(node)
            if isinstance(one, ast.Attribute) and not isinstance(one.ctx, ast.Load)
        }
        owners = words - set(_bound(node))
        return cls(node, frozenset(words | texts), frozenset(owners), frozenset(targets))

    def touches(self, own: str, owners: set[str], used: set[str]) -> bool:
        """Return whether it names the test or a class of it, or sets something that it uses."""
        return own in self.says or bool(self.owners & owners or self.sets & used)


class _Module:
    """The tests of one file, and what else it says."""

    def __init__(self, tree: ast.Module, is_reported: IsReported) -> None:
        self.found: dict[str, _Found] = {}
        self._is_reported = is_reported
        self._classes = {one.name: one for one in ast.walk(tree) if isinstance(one, ast.ClassDef)}
        statements = _flat(tree.body)
        self._loose = [_Loose.of(one) for one in statements if not isinstance(one, _NotLoose)]
        self._imported, self._made = _bindings(statements)

    def read(self, statements: list[ast.stmt], place: _Place) -> None:
        """Collect the tests of a scope."""
        for node in statements:
            if _is_function(node):
                if self._is_test(node, place):
                    self._add(node.name, node, place)
                elif not place.classes:
                    classes = [one for one in ast.walk(node) if isinstance(one, ast.ClassDef)]
                    self.read([*classes], msgspec.structs.replace(place, is_made=True))
            elif isinstance(node, ast.ClassDef):
                self.read(node.body, msgspec.structs.replace(place, classes=(*place.classes, node)))
            elif isinstance(node, _Compound):
                conditions = place.conditions + _condition(node)
                self.read(
                    list(_inside(node)), msgspec.structs.replace(place, conditions=conditions)
                )
            else:
                self._rebind(node, place)

    def _is_test(self, node: _Function, place: _Place) -> bool:
        if any(_last_name(one) == "fixture" for one in node.decorator_list):
            return False
        return node.name.startswith("test") or self._is_reported(_name(node.name, place))

    def _rebind(self, node: ast.stmt, place: _Place) -> None:
        """Add a statement that binds the name of a test that is known."""
        for bound in _bound(node):
            name = _name(bound, place)
            if name in self.found or self._is_reported(name):
                self._add(bound, node, place)

    def _add(self, own: str, node: ast.stmt, place: _Place) -> None:
        found = self.found.setdefault(_name(own, place), _Found(place, []))
        found.nodes.append((place.conditions, node))

    def function(self, name: str, found: _Found) -> TestFunction:
        """Return one test with all that the file adds to it."""
        nodes = [node for _, node in found.nodes]
        used = {one for node in nodes for one in _words(node)}
        context = [*self._of_classes(found.place.classes, used)]
        owners = {one.name for one in self._line(found.place.classes)}
        own = name.rpartition(".")[2]
        context += [
            ast.dump(one.node)
            for one in self._loose
            if one.node not in nodes and one.touches(own, owners, used)
        ]
        says = [conditions + _says(node) for conditions, node in found.nodes]
        globals_used = {name for node in nodes for name in _globals(node)}
        return TestFunction(
            name=name,
            body="\n".join((*says, *context)),
            asserts=any(_asserts(node) for node in nodes),
            is_run=self._is_run(found),
            imports=frozenset(globals_used & (self._imported - self._made)),
            defines=frozenset(globals_used & self._made),
        )

    def _is_run(self, found: _Found) -> bool:
        # What a condition takes away again is missed: that may be how a test hides itself.
        made = [one for where, one in found.nodes if not (where and isinstance(one, ast.Delete))]
        is_one = len(made) == 1 and _is_function(made[0])
        return is_one and found.place.is_plain and all(map(self._is_collected, found.place.classes))

    def _is_collected(self, node: ast.ClassDef) -> bool:
        """Return whether a class is surely collected itself, and is not only a base of others."""
        line = self._line((node,))
        members = [one for owner in line for one in owner.body]
        if any(_is_function(one) and one.name == "__init__" for one in members):
            return False
        if any("__test__" in _bound(one) for one in members):
            return False
        bases = [_last_name(base) for owner in line for base in owner.bases]
        return node.name.startswith("Test") or any(base.endswith("TestCase") for base in bases)

    def _line(self, classes: tuple[ast.ClassDef, ...]) -> list[ast.ClassDef]:
        """Return the innermost class and those of its bases that stand in this file."""
        line = [*classes[-1:]]
        for owner in line:
            bases = (self._classes.get(_last_name(base)) for base in owner.bases)
            line += [base for base in bases if base is not None and base not in line]
        return line

    def _of_classes(self, classes: tuple[ast.ClassDef, ...], used: set[str]) -> Iterator[str]:
        """Yield how the class is made, and its members that the test uses or that run before it."""
        line = self._line(classes)
        for owner in (*classes[:-1], *line):
            yield from map(ast.dump, (*owner.bases, *owner.keywords, *owner.decorator_list))
        members = [one for owner in line for one in owner.body]
        seen: set[str] = set()
        wanted = {name for name in used if not name.startswith("test")} | _SET_UP
        while new := wanted - seen:
            seen |= new
            wanted |= {
                word
                for one in members
                if _names_of(one) & new
                for word in _words(one)
                if not word.startswith("test")
            }
        for one in members:
            names = _names_of(one)
            if names & seen or any(name.startswith("__") for name in names):
                yield ast.dump(one)


def _name(own: str, place: _Place) -> str:
    return ".".join((*(one.name for one in place.classes), own))


def _is_function(node: ast.AST) -> TypeGuard[_Function]:
    return isinstance(node, _Function)


def _condition(node: _Compound) -> str:
    """Return what decides whether the statements inside a compound one are run."""
    match node:
        case ast.If() | ast.While():
            return ast.dump(node.test)
        case ast.For():
            return ast.dump(node.target) + ast.dump(node.iter)
        case ast.With() | ast.AsyncWith():
            return "".join(map(ast.dump, node.items))
        case ast.Match():
            return ast.dump(node.subject)
        case _:
            return "try"


def _inside(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield the statements inside a compound one, in their order."""
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.stmt):
            yield part
        elif isinstance(part, ast.ExceptHandler | ast.match_case):
            yield from part.body


def _flat(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Return statements with those inside compound ones; functions and classes stay whole."""
    flat: list[ast.stmt] = []
    for node in statements:
        flat += _flat(list(_inside(node))) if isinstance(node, _Compound) else [node]
    return flat


def _bindings(statements: list[ast.stmt]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a file imports, and those that it makes itself."""
    imports = [one for one in statements if isinstance(one, ast.Import | ast.ImportFrom)]
    imported = {
        (alias.asname or alias.name).partition(".")[0] for one in imports for alias in one.names
    }
    made = {name for one in statements if one not in imports for name in _names_of(one)}
    return frozenset(imported), frozenset(made)


def _names_of(node: ast.stmt) -> set[str]:
    """Return the names that a statement binds where it stands."""
    return {node.name} if isinstance(node, _Function | ast.ClassDef) else set(_bound(node))


def _bound(node: ast.stmt) -> list[str]:
    """Return the names that a simple statement binds or deletes."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    return [
        one.id
        for one in ast.walk(node)
        if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)
    ]


def _words(node: ast.AST) -> Iterator[str]:
    """Yield the names and attributes in a node."""
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            yield one.id
        elif isinstance(one, ast.Attribute):
            yield one.attr


def _globals(node: ast.stmt) -> set[str]:
    """Return the names that a test takes from its file, fixtures left out."""
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return names - {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}


def _says(node: ast.stmt) -> str:
    """Return what a test does, without its parameters' values, or what binds its name otherwise."""
    if not _is_function(node):
        return ast.dump(node)
    marks = [one for one in node.decorator_list if not _is_parametrize(one)]
    given = node.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    names += [f"*{one.arg}" for one in (given.vararg, given.kwarg) if one is not None]
    defaults = [one for one in (*given.defaults, *given.kw_defaults) if one is not None]
    return f"({', '.join(names)})" + "".join(map(ast.dump, (*marks, *defaults, *node.body)))


def _is_parametrize(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.parametrize"


def _last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name, called or subscripted: `pytest.fixture(...)`."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _asserts(node: ast.stmt) -> bool:
    """Return whether a test compares something that is not written down beside it."""
    return any(
        _is_open(one.test)
        if isinstance(one, ast.Assert)
        else isinstance(one, ast.Call)
        and _last_name(one).lstrip("_").lower().startswith(_ASSERTS)
        and (not one.args or any(map(_is_open, one.args)))
        for one in ast.walk(node)
    )


def _is_open(node: ast.expr) -> bool:
    return any(isinstance(one, ast.Name | ast.Attribute | ast.Call) for one in ast.walk(node))
