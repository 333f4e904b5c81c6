"""The engine's own failing tests for vitest, jest and `node --test`, in files of their own.

They lie beside the project's tests. One throws; another fails through the runner's assertions,
unless one of them holds nothing any more: then it passes, and the report is not believed. Test
files run apart from each other, so the canary loads the source that reaches for assertions, as the
project's tests do.
"""

import re
from pathlib import PurePosixPath
from posixpath import relpath

from pipeline.gates.runners.base import TestRequest
from pipeline.language import globs
from pipeline.language.target import Runner

ENDINGS = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx")
_TEST_FILE = re.compile(r"(?:[._-](?:test|spec))\.([cm]?[jt]sx?)$")
_REACHES = re.compile(
    r"""(?:from|require\(|import\()\s*['"](?:node:)?(?:assert(?:/strict)?|test|vitest|expect|chai"""
    r"""|@jest/globals|@vitest/\w+)['"]|(?:global|globalThis)\s*(?:\.|\[\s*['"`])\s*(?:expect|assert)"""
)
_EXPECT = """
const wrong = [
  () => expect(0).toBe(1), () => expect(0).not.toBe(0), () => expect([0]).toEqual([1]),
  () => expect([0]).toStrictEqual([1]), () => expect({ a: 0 }).toMatchObject({ a: 1 }),
  () => expect(0).toBeTruthy(), () => expect(1).toBeFalsy(), () => expect(0).toBeNull(),
  () => expect(undefined).toBeDefined(), () => expect(0).toBeUndefined(),
  () => expect(0).toBeGreaterThan(1), () => expect(1).toBeLessThan(0),
  () => expect(0).toBeCloseTo(1), () => expect([0]).toContain(1),
  () => expect([0]).toHaveLength(2), () => expect("a").toMatch(/b/),
  () => expect({}).toHaveProperty("a"), () => expect(() => 0).toThrow(),
];
"""
_ASSERT = """
const wrong = [
  () => assert(false), () => assert.ok(0), () => assert.equal(0, 1), () => assert.notEqual(0, 0),
  () => assert.strictEqual(0, 1), () => assert.notStrictEqual(0, 0),
  () => assert.deepEqual([0], [1]), () => assert.deepStrictEqual([0], [1]),
  () => assert.throws(() => 0), () => assert.match("a", /b/), () => assert.fail("always"),
  () => assert.ifError(new Error("always")), () => assert.strict.equal(0, 1),
];
"""
_TESTS = """{wrong}
const holds = (check) => {{ try {{ check(); }} catch {{ return true; }} return false; }};
test("{name}", () => {{ throw new Error("this test of the engine's own always fails"); }});
test("{name} too", async () => {{
{loads}  if (wrong.every(holds)) wrong[0]();
}});
"""


def canary_files(request: TestRequest, runner: Runner) -> dict[str, str]:
    """Return files with tests that must fail: one for each kind of test file in each folder.

    The runner may not treat all of them as tests (helpers, tests of another runner); one is enough.
    """
    models = [path for path in (*request.only, *request.tests()) if path.endswith(ENDINGS)]
    files: dict[str, str] = {}
    reaching = _reaching(request)
    for model in map(PurePosixPath, models or ["test/x.test.js"]):
        ending = _TEST_FILE.search(model.name)
        stem = f"idea_to_pr_{request.canary}" if ending else f"test_idea_to_pr_{request.canary}"
        path = str(model.with_name(stem + (ending.group() if ending else model.suffix)))
        if path not in files:
            files[path] = _text(request, runner, path, reaching)
    return files


def _text(request: TestRequest, runner: Runner, path: str, reaching: list[str]) -> str:
    """Return the content of one file.

    With `// @ts-nocheck` ts-jest takes it even where the types of `test` are not installed.
    """
    is_module = runner is Runner.VITEST or (runner is Runner.NODE and _is_module(request, path))
    match runner:
        case Runner.VITEST:
            head = 'import { expect, test } from "vitest";\n'
        case Runner.NODE if is_module:
            head = 'import { test } from "node:test";\nimport assert from "node:assert";\n'
        case Runner.NODE:
            head = (
                'const { test } = require("node:test");\nconst assert = require("node:assert");\n'
            )
        case _:
            head = ""
    if runner is Runner.NODE:
        # Source that keeps the process alive (a server that listens) must not keep it for ever.
        head += "setTimeout(() => process.exit(1), 5000).unref();\n"
    loads = "".join(
        "  try {{ {} }} catch {{ /* its own tests tell */ }}\n".format(
            f'await import("{module}");' if is_module else f'require("{module}");'
        )
        for module in (_from(path, source) for source in reaching)
    )
    wrong = _ASSERT if runner is Runner.NODE else _EXPECT
    tests = _TESTS.format(wrong=wrong.strip(), name=request.canary, loads=loads)
    return f"// @ts-nocheck\n{head}{tests}"


def _reaching(request: TestRequest) -> list[str]:
    """List the source files that reach for the assertions of tests."""
    return [
        path
        for path in request.paths
        if path.endswith(ENDINGS)
        and globs.matches_any(request.target.source, path)
        and not globs.matches_any(request.target.tests, path)
        and _REACHES.search((request.read(path) or b"").decode(errors="replace"))
    ]


def _from(path: str, source: str) -> str:
    """Return how the file `path` names a source file."""
    relative = relpath(source, str(PurePosixPath(path).parent))
    return relative if relative.startswith(".") else f"./{relative}"


def _is_module(request: TestRequest, path: str) -> bool:
    """Return whether Node takes a file for an ES module: by ending or nearest package.json."""
    folders = [
        str(parent / "package.json").removeprefix("./") for parent in PurePosixPath(path).parents
    ]
    nearest = next((request.read(one) or b"" for one in folders if one in set(request.paths)), b"")
    return path.endswith((".mjs", ".mts")) or (
        not path.endswith((".cjs", ".cts"))
        and re.search(rb'"type"\s*:\s*"module"', nearest) is not None
    )
