"""Where the engine's own failing test for Cargo lies: in a package and file that the command runs.

`cargo test` runs it as a file of its own in `tests/`. A command that selects (`--lib`, `--test X`)
gets it at the end of what it selects, in the checkout of that run alone.
"""

import tomllib
from typing import Any

from pipeline.gates.runners.base import TestRequest, index_after
from pipeline.language import globs

_VALUED = frozenset(
    {"-p", "--package", "--exclude", "--features", "-F", "--target", "--target-dir", "--profile"}
    | {
        "--manifest-path",
        "--jobs",
        "-j",
        "--color",
        "--message-format",
        "--config",
        "-Z",
        "--bench",
    }
    | {"--test", "--bin", "--example"}
)
_KINDS = {"--lib", "--bins", "--bin", "--examples", "--example", "--benches", "--bench", "--doc"}
_ALL = {"--tests", "--all-targets"}


def canary_files(request: TestRequest) -> dict[str, str]:
    """Return files to write: a new one in `tests/`, or those the command selects, with one more."""
    folder = _folder(request)
    folder += "/" if folder else ""
    body = (
        f"#[test]\nfn t_{request.canary}() "
        '{ panic!("this test of the engine\'s own always fails"); }\n'
    )
    words = _words(request)
    named = _values(words, "--test")
    if named or (_KINDS.intersection(words) and not _ALL.intersection(words)):
        paths = [f"{folder}tests/{name}.rs" for name in named]
        paths += [f"{folder}src/lib.rs"] if "--lib" in words else []
        paths += [f"{folder}src/main.rs"] if {"--bins", "--bin"}.intersection(words) else []
        texts = {path: request.read(path) for path in paths}
        return {path: _added(text, body) for path, text in texts.items() if text is not None}
    return {f"{folder}tests/idea_to_pr_{request.canary}.rs": body}


def selection(request: TestRequest) -> str:
    """Return what in the command selects tests, so that one of the engine's own may not be run."""
    words = _words(request)
    plain = [
        word
        for before, word in zip(("", *words), words, strict=False)
        if not word.startswith("-") and before not in _VALUED
    ]
    chosen = [word for word in words if word.partition("=")[0] in {*_KINDS, "--test"}]
    after = request.words[index_after(request.words, "--") :]
    skips = [word for word in after if word in {"--skip", "--ignored", "--exact"}]
    return " ".join((*chosen, *plain, *skips))


def _words(request: TestRequest) -> tuple[str, ...]:
    """Return the command's words after `test` and before `--`, which are Cargo's own."""
    words = request.words[index_after(request.words, "test") :]
    return words[: words.index("--")] if "--" in words else words


def _values(words: tuple[str, ...], option: str) -> list[str]:
    pairs = zip(words, (*words[1:], ""), strict=False)
    return [
        word.partition("=")[2] or after
        for word, after in pairs
        if word == option or word.startswith(f"{option}=")
    ]


def _added(text: bytes, body: str) -> str:
    return f"{text.decode(errors='replace').rstrip()}\n\n#[cfg(test)]\n{body}"


def packages_of(request: TestRequest) -> dict[str, set[str]]:
    """Return the packages below the target's folder: folder -> the names of their crates."""
    below = f"{request.target.folder}/" if request.target.folder else ""
    packages: dict[str, set[str]] = {}
    for path in request.paths:
        if path.rpartition("/")[2] == "Cargo.toml" and path.startswith(below):
            manifest = _manifest(request, path)
            if package := manifest.get("package"):
                names = {str(package.get("name", "")), str(manifest.get("lib", {}).get("name", ""))}
                names |= {str(one.get("name", "")) for one in manifest.get("bin", [])}
                folder = path.rpartition("/")[0]
                packages[folder] = {name.replace("-", "_") for name in names} | names
    return packages


def _folder(request: TestRequest) -> str:
    """Return the folder of a package whose tests the command runs; a virtual workspace is none."""
    top = request.target.folder
    packages = packages_of(request)
    words = request.words
    wanted = {
        word.partition("=")[2] or after
        for word, after in zip(words, (*words[1:], ""), strict=True)
        if word in {"-p", "--package"} or word.startswith("--package=")
    }
    named = [folder for folder, names in packages.items() if wanted & names]
    if named or top in packages or not packages:
        return named[0] if named else top
    workspace = _manifest(request, f"{top}/Cargo.toml".lstrip("/")).get("workspace", {})
    members = [
        f"{top}/{glob}".lstrip("/")
        for glob in workspace.get("default-members") or workspace.get("members", [])
    ]
    inside = [folder for folder in packages if globs.matches_any(members, folder)]
    tested = [folder for folder in inside if _finds_tests(request, folder)]
    return (tested or inside or list(packages))[0]


def _finds_tests(request: TestRequest, folder: str) -> bool:
    """Return whether Cargo looks for files in a package's folder of tests by itself."""
    manifest = _manifest(request, f"{folder}/Cargo.toml")
    return bool(manifest.get("package", {}).get("autotests", True))


def _manifest(request: TestRequest, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads((request.read(path) or b"").decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}
