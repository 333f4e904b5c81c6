"""Find targets in Go, Rust, and other languages by their build file.

Go and Rust are used with their own tools, all others with the usual test command of the build file.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any

from pipeline.survey.checkout_files import CheckoutFiles, FoundTarget, cd, table, within

_JAVA_SOURCE = ("**/src/main/**", "**/build.gradle*")
_JAVA_TESTS = ("**/src/test/**", "**/javatests/**")
_RUBY_SOURCE = ("lib/**", "app/**", "Gemfile", "Gemfile.lock")
_C_SOURCE = ("src/**", "include/**", "lib/**", "*.c", "*.cpp", "*.h")
_CMAKE_TEST = (
    "sh -c 'cmake -S . -B build && cmake --build build && "
    "ctest --test-dir build --output-on-failure'"
)
_MESON_TEST = "sh -c 'meson setup build && meson test -C build'"
_AUTOTOOLS_TEST = "sh -c 'autoreconf -fi && ./configure && make check'"
_AUTOTOOLS = (*_C_SOURCE, "*.ac", "*.in", "**/*.am", "m4/**")
_BY_FILE = (
    ("pom.xml", "Java", "mvn -q -B test", ("**/src/main/**", "**/pom.xml"), _JAVA_TESTS),
    ("gradlew", "Java", "./gradlew test", _JAVA_SOURCE, _JAVA_TESTS),
    ("build.gradle", "Java", "gradle test", _JAVA_SOURCE, _JAVA_TESTS),
    ("build.gradle.kts", "Java", "gradle test", _JAVA_SOURCE, _JAVA_TESTS),
    ("mix.exs", "Elixir", "mix test", ("lib/**", "mix.exs", "mix.lock"), ("test/**",)),
    ("spec/spec_helper.rb", "Ruby", "bundle exec rspec", _RUBY_SOURCE, ("spec/**",)),
    ("Gemfile", "Ruby", "bundle exec rake test", _RUBY_SOURCE, ("test/**",)),
    (
        "composer.json", "PHP", "vendor/bin/phpunit",
        ("src/**", "app/**", "composer.*"), ("tests/**",),
    ),
    ("dune-project", "OCaml", "dune test", ("src/**", "lib/**", "bin/**"), ("test/**",)),
    ("stack.yaml", "Haskell", "stack test", ("src/**", "app/**"), ("test/**",)),
    (
        "CMakeLists.txt", "C or C++", _CMAKE_TEST,
        (*_C_SOURCE, "*.hpp", "CMakeLists.txt"), ("test*/**",),
    ),
    ("meson.build", "C or C++", _MESON_TEST, (*_C_SOURCE, "meson.build"), ("test*/**",)),
    ("configure.ac", "C or C++", _AUTOTOOLS_TEST, _AUTOTOOLS, ("test*/**",)),
    ("configure.in", "C or C++", _AUTOTOOLS_TEST, _AUTOTOOLS, ("test*/**",)),
)  # fmt: skip
"""Build file, language, test command, and the usual patterns of source and tests; first match."""

_RUST_TESTS = ("tests/**", "src/**/tests.rs", "src/**/tests/**", "src/**/test_*.rs")
"""Tests of their own, and modules of tests inside the source that are files of their own."""

_MAKE_TEST = re.compile(r"^(?:[\w.-]+ +)*test *:(?!=)", re.MULTILINE)
_MAKEFILES = ("Makefile", "makefile", "GNUmakefile")
_NOT_CODE = frozenset({"docs", "doc", "agents", "examples", "example"})
_CODE = frozenset(
    {".c", ".cc", ".cpp", ".h", ".hpp", ".sh", ".pl", ".lua", ".py", ".js", ".zig", ".el", ".awk"}
    | {".go", ".rs", ".rb", ".php", ".java", ".kt", ".swift", ".hs", ".ml", ".nim", ".d", ".tcl"}
)
_TEST_FILE = re.compile(r"(test)_[^/]*|[^/]*_(test|spec)\.\w+")


def find_go(repo: CheckoutFiles) -> Iterator[FoundTarget]:
    """Yield the Go modules."""
    folders = repo.folders_with("go.mod")
    for folder in folders:
        files = repo.below(folder, folders)
        if not any(path.endswith(".go") for path in files):
            continue
        yield FoundTarget(
            name=folder.rpartition("/")[2] or repo.root.name,
            language="Go",
            folder=folder,
            source=tuple(within(folder, glob) for glob in ("**/*.go", "go.mod", "go.sum")),
            tests=(within(folder, "**/*_test.go"), within(folder, "**/testdata/**")),
            command="go test ./...",
            checks=("go vet ./...",),
            format=("gofmt -w .",),
            setup=(f"{cd(folder)}go mod download",)
            if "require" in repo.text(within(folder, "go.mod"))
            else (),
            package=next(iter(_modules(repo, folder, "module")), ""),
            wants=tuple(_modules(repo, folder, "require", "replace")),
            is_tested=any(path.endswith("_test.go") for path in files),
            why=f"{within(folder, 'go.mod')} exists",
        )


def find_rust(repo: CheckoutFiles) -> Iterator[FoundTarget]:
    """Yield the Rust packages; the dependencies of a workspace are fetched together."""
    folders = repo.folders_with("Cargo.toml")
    can_check, can_format = repo.has_program("cargo-clippy"), repo.has_program("rustfmt")
    for folder in folders:
        manifest = repo.toml(within(folder, "Cargo.toml"))
        files = repo.below(folder, folders)
        if "package" not in manifest:
            continue
        tests = any(
            path.startswith("tests/") or "#[test]" in repo.text(within(folder, path))
            for path in files
        )
        root = next((one for one in folders if _holds(repo, one, folder)), folder)
        config = [within(folder, "Cargo.toml"), within(root, "Cargo.lock")]
        yield FoundTarget(
            name=str(
                table(manifest, "package").get("name")
                or folder.rpartition("/")[2]
                or repo.root.name
            ),
            language="Rust",
            folder=folder,
            source=(
                *(within(folder, glob) for glob in _rust_source(repo, folder, manifest)),
                *config,
            ),
            tests=tuple(within(folder, glob) for glob in _RUST_TESTS),
            command="cargo test",
            checks=("cargo clippy --quiet -- -D warnings",) if can_check else (),
            format=("cargo fmt",) if can_format else (),
            setup=(f"{cd(root)}cargo fetch",),
            missing=() if can_check else ("cargo clippy",),
            package=folder or ".",
            wants=tuple(_paths(repo, folder, root)),
            is_tested=tests,
            why=f"{within(folder, 'Cargo.toml')} exists",
        )


def _rust_source(repo: CheckoutFiles, folder: str, manifest: dict[str, Any]) -> list[str]:
    """Return the patterns of a package's source: `src`, its build script, and folders it names."""
    products = [
        table(manifest, "lib"),
        *(one for one in manifest.get("bin", ()) if isinstance(one, dict)),
    ]
    named = [
        str(PurePosixPath(path).parent)
        for one in products
        if isinstance(path := one.get("path"), str)
    ]
    patterns = ["src/**", *(f"{top}/**" if top != "." else "*.rs" for top in named), "build.rs"]
    wanted = [
        glob for glob in dict.fromkeys(patterns) if next(repo.matched([within(folder, glob)]), "")
    ]
    return wanted or ["src/**"]


def _modules(repo: CheckoutFiles, folder: str, *words: str) -> Iterator[str]:
    """Yield the module paths after these words in go.mod, on one line or in parentheses."""
    block = ""
    for raw in repo.text(within(folder, "go.mod")).splitlines():
        first, *rest = raw.partition("//")[0].split() or [""]
        if first in words and rest and rest[0] != "(":
            yield rest[0]
        elif block in words and first not in {"", ")"}:
            yield first
        block = first if rest[:1] == ["("] else "" if first == ")" else block


def _holds(repo: CheckoutFiles, root: str, folder: str) -> bool:
    """Return whether `root` is the root of the Rust workspace that a folder is in."""
    inside = root == folder or folder.startswith(f"{root}/" if root else "")
    return inside and "workspace" in repo.toml(within(root, "Cargo.toml"))


def _paths(repo: CheckoutFiles, folder: str, root: str) -> Iterator[str]:
    """Yield the folders of the packages that a Rust package depends on by path."""
    manifest, shared = (
        repo.toml(within(folder, "Cargo.toml")),
        repo.toml(within(root, "Cargo.toml")),
    )
    for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
        for name in table(manifest, kind):
            base, entry = folder, table(manifest, kind, name)
            if entry.get("workspace"):
                base, entry = root, table(shared, "workspace", "dependencies", name)
            if isinstance(path := entry.get("path"), str):
                yield normpath(str(PurePosixPath(base) / path))


def find_other(repo: CheckoutFiles) -> Iterator[FoundTarget]:
    """Yield the target of the build file in the root, if there is one.

    Only the exit status of its tests will be known. A `make test` is preferred to CMake and Meson,
    whose commands here are only the usual ones.
    """
    makefile = repo.has("", *_MAKEFILES)
    has_make_test = bool(makefile and _MAKE_TEST.search(repo.text(makefile)))
    replaced = {"CMakeLists.txt", "meson.build"} if has_make_test else set()
    for marker, language, command, source, tests in _BY_FILE:
        if marker not in replaced and repo.has("", marker):
            yield _other(repo, language, command, (source, tests), f"{marker} exists")
            return
    if has_make_test:
        globs = _make_globs(repo, makefile)
        yield _other(repo, "make", "make test", globs, f"{makefile} has `test:`")


def _make_globs(repo: CheckoutFiles, makefile: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the patterns of source and tests: top folders by name, and code in the root."""
    tops = sorted({path.partition("/")[0] for path in repo.files if "/" in path and path[0] != "."})
    tests = [f"{top}/**" for top in tops if top.startswith(("test", "spec")) or top == "t"]
    folders = [f"{top}/**" for top in tops if f"{top}/**" not in tests and top not in _NOT_CODE]
    in_root = [path for path in repo.files if "/" not in path]
    named = (
        (match, PurePosixPath(path).suffix)
        for path in in_root
        if (match := _TEST_FILE.fullmatch(path)) and PurePosixPath(path).suffix in _CODE
    )
    tests += sorted(
        {
            f"test_*{suffix}" if match.group(1) else f"*_{match.group(2)}{suffix}"
            for match, suffix in named
        }
    )
    suffixes = {PurePosixPath(path).suffix for path in in_root} & _CODE
    scripts = sorted(
        path
        for path in in_root
        if repo.text(path).startswith("#!") and PurePosixPath(path).suffix not in suffixes
    )
    code = [f"*{suffix}" for suffix in sorted(suffixes)]
    return (*folders, *code, *scripts, makefile), tuple(tests)


def _other(
    repo: CheckoutFiles,
    language: str,
    command: str,
    globs: tuple[tuple[str, ...], tuple[str, ...]],
    why: str,
) -> FoundTarget:
    """Return a target with those of the usual patterns that match a file."""
    source, tests = ([glob for glob in of if next(repo.matched([glob]), "")] for of in globs)
    return FoundTarget(
        name=repo.root.name,
        language=language,
        source=tuple(source),
        tests=tuple(tests or globs[1] or ["tests/**"]),
        command=command,
        exit_code_only=True,
        is_tested=bool(tests),
        why=f"{why}; only the exit status of its tests is known",
    )
