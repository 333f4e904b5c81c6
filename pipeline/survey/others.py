"""Go and Rust with their own tools; every other stack by the command that its build file stands for."""

from collections.abc import Iterator

from pipeline.survey.look import Look, Part, within

_BY_FILE = (
    ("pom.xml", "Java", "mvn -q -B test", ("src/main/**", "pom.xml"), ("src/test/**",)),
    ("gradlew", "Java", "./gradlew test", ("src/main/**", "build.gradle*"), ("src/test/**",)),
    ("build.gradle", "Java", "gradle test", ("src/main/**", "build.gradle*"), ("src/test/**",)),
    ("mix.exs", "Elixir", "mix test", ("lib/**", "mix.exs", "mix.lock"), ("test/**",)),
    ("Gemfile", "Ruby", "bundle exec rake test", ("lib/**", "Gemfile", "Gemfile.lock"), ("test/**", "spec/**")),
    ("composer.json", "PHP", "vendor/bin/phpunit", ("src/**", "composer.*"), ("tests/**",)),
    ("dune-project", "OCaml", "dune test", ("src/**", "lib/**", "bin/**"), ("test/**",)),
    ("stack.yaml", "Haskell", "stack test", ("src/**", "app/**"), ("test/**",)),
    ("CMakeLists.txt", "C or C++", "ctest --test-dir build", ("src/**", "include/**", "CMakeLists.txt"), ("test*/**",)),
    ("meson.build", "C or C++", "meson test -C build", ("src/**", "include/**", "meson.build"), ("test*/**",)),
)
_MAKEFILES = ("Makefile", "makefile", "GNUmakefile")


def find_go(look: Look) -> Iterator[Part]:
    """Go through the modules of Go."""
    for folder in look.named("go.mod"):
        yield Part(
            name=folder.rpartition("/")[2] or look.root.name,
            language="Go",
            folder=folder,
            source=tuple(within(folder, glob) for glob in ("**/*.go", "go.mod", "go.sum")),
            tests=(within(folder, "**/*_test.go"), within(folder, "**/testdata/**")),
            command="go test ./...",
            checks=("go vet ./...",),
            format=("gofmt -w {files}",),
            setup=(f"cd {folder} && go mod download" if folder else "go mod download",) if _needs(look, folder) else (),
            why=f"{within(folder, 'go.mod')} is there",
        )


def _needs(look: Look, folder: str) -> bool:
    return "require" in look.text(within(folder, "go.mod"))


def find_rust(look: Look) -> Iterator[Part]:
    """Go through Rust's packages and workspaces, the outermost of each."""
    folders = look.named("Cargo.toml")
    for folder in folders:
        if any(folder != other and folder.startswith(f"{other}/" if other else "") for other in folders):
            continue
        is_workspace = "workspace" in look.toml(within(folder, "Cargo.toml"))
        tops = ("**/src/**", "**/Cargo.toml", "Cargo.lock") if is_workspace else ("src/**", "Cargo.toml", "Cargo.lock")
        can_check = look.finds("cargo-clippy")
        yield Part(
            name=folder.rpartition("/")[2] or look.root.name,
            language="Rust",
            folder=folder,
            source=tuple(within(folder, glob) for glob in tops),
            tests=tuple(within(folder, glob) for glob in (("**/tests/**",) if is_workspace else ("tests/**",))),
            command="cargo test",
            checks=("cargo clippy --quiet",) if can_check else (),
            format=("rustfmt {files}",) if look.finds("rustfmt") else (),
            setup=(f"cd {folder} && cargo fetch" if folder else "cargo fetch",),
            missing=() if can_check else ("cargo clippy",),
            why=f"{within(folder, 'Cargo.toml')} is there",
        )


def find_other(look: Look) -> Iterator[Part]:
    """Find a stack by its build file in the root; of its tests only the exit status will be known."""
    for marker, language, command, source, tests in _BY_FILE:
        if look.has("", marker):
            yield _other(look, language, command, source, tests, f"{marker} is there")
            return
    makefile = look.has("", *_MAKEFILES)
    if makefile and any(line.startswith("test:") for line in look.text(makefile).splitlines()):
        tops = sorted({path.partition("/")[0] for path in look.files if "/" in path and path[0] != "."})
        held = [f"{top}/**" for top in tops if top.startswith(("test", "spec")) or top == "t"]
        built = [f"{top}/**" for top in tops if f"{top}/**" not in held and top not in {"docs", "doc", "agents"}]
        why = f"{makefile} has `test:`"
        yield _other(look, "make", "make test", (*built, makefile), tuple(held) or ("tests/**",), why)


def _other(look: Look, language: str, command: str, source: tuple[str, ...], tests: tuple[str, ...], why: str) -> Part:
    return Part(
        name=look.root.name,
        language=language,
        source=source,
        tests=tests,
        command=command,
        exit_code_only=True,
        why=f"{why}; how its tests report is not known, so their exit status counts",
    )
