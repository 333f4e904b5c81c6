"""Go and Rust with their own tools.

Every other stack by the command that its build file stands for.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any

from pipeline.survey.look import Look, FoundTarget, cd, table, within

_BY_FILE = (
    ("pom.xml", "Java", "mvn -q -B test", ("**/src/main/**", "**/pom.xml"), ("**/src/test/**",)),
    ("gradlew", "Java", "./gradlew test", ("**/src/main/**", "**/build.gradle*"), ("**/src/test/**",)),
    ("build.gradle", "Java", "gradle test", ("**/src/main/**", "**/build.gradle*"), ("**/src/test/**",)),
    ("build.gradle.kts", "Java", "gradle test", ("**/src/main/**", "**/build.gradle*"), ("**/src/test/**",)),
    ("mix.exs", "Elixir", "mix test", ("lib/**", "mix.exs", "mix.lock"), ("test/**",)),
    ("spec/spec_helper.rb", "Ruby", "bundle exec rspec", ("lib/**", "app/**", "Gemfile", "Gemfile.lock"), ("spec/**",)),
    ("Gemfile", "Ruby", "bundle exec rake test", ("lib/**", "app/**", "Gemfile", "Gemfile.lock"), ("test/**",)),
    ("composer.json", "PHP", "vendor/bin/phpunit", ("src/**", "app/**", "composer.*"), ("tests/**",)),
    ("dune-project", "OCaml", "dune test", ("src/**", "lib/**", "bin/**"), ("test/**",)),
    ("stack.yaml", "Haskell", "stack test", ("src/**", "app/**"), ("test/**",)),
    (
        "CMakeLists.txt", "C or C++",
        "sh -c 'cmake -S . -B build && cmake --build build && ctest --test-dir build --output-on-failure'",
        ("src/**", "include/**", "lib/**", "*.c", "*.cpp", "*.h", "*.hpp", "CMakeLists.txt"), ("test*/**",),
    ),
    (
        "meson.build", "C or C++", "sh -c 'meson setup build && meson test -C build'",
        ("src/**", "include/**", "lib/**", "*.c", "*.cpp", "*.h", "meson.build"), ("test*/**",),
    ),
)  # fmt: skip
_MAKEFILES = ("Makefile", "makefile", "GNUmakefile")
_NOT_CODE = frozenset({"docs", "doc", "agents", "examples", "example"})
_CODE = frozenset(
    {".c", ".cc", ".cpp", ".h", ".hpp", ".sh", ".pl", ".lua", ".py", ".js", ".zig", ".el", ".awk"}
)


def find_go(look: Look) -> Iterator[FoundTarget]:
    """Go through the modules of Go."""
    folders = look.named("go.mod")
    for folder in folders:
        files = look.below(folder, folders)
        if not any(path.endswith(".go") for path in files):
            continue
        yield FoundTarget(
            name=folder.rpartition("/")[2] or look.root.name,
            language="Go",
            folder=folder,
            source=tuple(within(folder, glob) for glob in ("**/*.go", "go.mod", "go.sum")),
            tests=(within(folder, "**/*_test.go"), within(folder, "**/testdata/**")),
            command="go test ./...",
            checks=("go vet ./...",),
            format=("gofmt -w .",),
            setup=(f"{cd(folder)}go mod download",)
            if "require" in look.text(within(folder, "go.mod"))
            else (),
            package=next(iter(_modules(look, folder, "module")), ""),
            wants=tuple(_modules(look, folder, "require", "replace")),
            is_tested=any(path.endswith("_test.go") for path in files),
            why=f"{within(folder, 'go.mod')} is there",
        )


def find_rust(look: Look) -> Iterator[FoundTarget]:
    """Go through Rust's packages; those of a workspace are fetched together."""
    folders = look.named("Cargo.toml")
    can_check, can_format = look.finds("cargo-clippy"), look.finds("rustfmt")
    for folder in folders:
        manifest = look.toml(within(folder, "Cargo.toml"))
        files = look.below(folder, folders)
        if "package" not in manifest:
            continue
        tests = any(
            path.startswith("tests/") or "#[test]" in look.text(within(folder, path))
            for path in files
        )
        root = next((one for one in folders if _holds(look, one, folder)), folder)
        config = [within(folder, "Cargo.toml"), within(root, "Cargo.lock")]
        yield FoundTarget(
            name=str(
                table(manifest, "package").get("name")
                or folder.rpartition("/")[2]
                or look.root.name
            ),
            language="Rust",
            folder=folder,
            source=(
                *(within(folder, glob) for glob in _rust_source(look, folder, manifest)),
                *config,
            ),
            tests=(within(folder, "tests/**"),),
            command="cargo test",
            checks=("cargo clippy --quiet -- -D warnings",) if can_check else (),
            format=("cargo fmt",) if can_format else (),
            setup=(f"{cd(root)}cargo fetch",),
            missing=() if can_check else ("cargo clippy",),
            package=folder or ".",
            wants=tuple(_paths(look, folder, root)),
            is_tested=tests,
            why=f"{within(folder, 'Cargo.toml')} is there",
        )


def _rust_source(look: Look, folder: str, manifest: dict[str, Any]) -> list[str]:
    """List the patterns of a package's own code.

    `src`, its build script, and the folders that it names itself.
    """
    products = [
        table(manifest, "lib"),
        *(one for one in manifest.get("bin", ()) if isinstance(one, dict)),
    ]
    named = [
        str(PurePosixPath(path).parent)
        for one in products
        if isinstance(path := one.get("path"), str)
    ]
    found = ["src/**", *(f"{top}/**" if top != "." else "*.rs" for top in named), "build.rs"]
    wanted = [
        glob for glob in dict.fromkeys(found) if next(look.matched([within(folder, glob)]), "")
    ]
    return wanted or ["src/**"]


def _modules(look: Look, folder: str, *words: str) -> Iterator[str]:
    """Go through the module paths that go.mod names after these words, in a line or in brackets."""
    around = ""
    for raw in look.text(within(folder, "go.mod")).splitlines():
        first, *rest = raw.partition("//")[0].split() or [""]
        if first in words and rest and rest[0] != "(":
            yield rest[0]
        elif around in words and first not in {"", ")"}:
            yield first
        around = first if rest[:1] == ["("] else "" if first == ")" else around


def _holds(look: Look, root: str, folder: str) -> bool:
    """Tell whether a folder is the root of the Rust workspace that another one is in."""
    inside = root == folder or folder.startswith(f"{root}/" if root else "")
    return inside and "workspace" in look.toml(within(root, "Cargo.toml"))


def _paths(look: Look, folder: str, root: str) -> Iterator[str]:
    """Go through the folders of the packages that a Rust package builds on."""
    manifest, shared = (
        look.toml(within(folder, "Cargo.toml")),
        look.toml(within(root, "Cargo.toml")),
    )
    for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
        for name in table(manifest, kind):
            at, found = folder, table(manifest, kind, name)
            if found.get("workspace"):
                at, found = root, table(shared, "workspace", "dependencies", name)
            if isinstance(path := found.get("path"), str):
                yield normpath(str(PurePosixPath(at) / path))


def find_other(look: Look) -> Iterator[FoundTarget]:
    """Find a stack by its build file in the root.

    Of its tests only the exit status will be known.
    """
    makefile = look.has("", *_MAKEFILES)
    is_made = makefile and re.search(
        r"^(?:[\w.-]+ +)*test *:(?!=)", look.text(makefile), re.MULTILINE
    )
    for marker, language, command, source, tests in _BY_FILE:
        if look.has("", marker) and not (is_made and marker in {"CMakeLists.txt", "meson.build"}):
            yield _other(look, language, command, (source, tests), f"{marker} is there")
            return
    if is_made:
        tops = sorted(
            {path.partition("/")[0] for path in look.files if "/" in path and path[0] != "."}
        )
        held = [f"{top}/**" for top in tops if top.startswith(("test", "spec")) or top == "t"]
        built = [f"{top}/**" for top in tops if f"{top}/**" not in held and top not in _NOT_CODE]
        endings = {PurePosixPath(path).suffix for path in look.files if "/" not in path} & _CODE
        scripts = [
            path for path in look.files if "/" not in path and look.text(path).startswith("#!")
        ]
        alone = sorted(path for path in scripts if PurePosixPath(path).suffix not in endings)
        all_built = (*built, *(f"*{ending}" for ending in sorted(endings)), *alone, makefile)
        yield _other(look, "make", "make test", (all_built, tuple(held)), f"{makefile} has `test:`")


def _other(
    look: Look,
    language: str,
    command: str,
    globs: tuple[tuple[str, ...], tuple[str, ...]],
    why: str,
) -> FoundTarget:
    """Make a part; of patterns that only may be right those are taken that match something."""
    source, tests = ([glob for glob in of if next(look.matched([glob]), "")] for of in globs)
    return FoundTarget(
        name=look.root.name,
        language=language,
        source=tuple(source),
        tests=tuple(tests or globs[1] or ["tests/**"]),
        command=command,
        exit_code_only=True,
        is_tested=bool(tests),
        why=f"{why}; only the exit status of its tests is known",
    )
