"""Six real open-source projects, each with a small feature: tests, a first try that fails, and one
that holds.

What an archive leaves out and the project's repository has (a runner's configuration, tags) is
added when it is unpacked; what a repository has not (compiled files, metadata of the archive) is
taken away.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.archives import Archive

ITSDANGEROUS = Archive(
    "pypi",
    "itsdangerous",
    "2.2.0",
    "e0050c0b7da1eea53ffaf149c0cfbb5c6e2e2b69c4bef22c81fa6eb73e5f6173",
)
H11 = Archive(
    "pypi", "h11", "0.16.0", "4e35b956cf45792e4caa5885e69fba00bdbc6ffafbfa020300e549b208ee5ff1"
)
MORE = Archive(
    "pypi",
    "more-itertools",
    "11.2.1",
    "cbf08fd0af284dc69718b9b76a8e6203df624d70209ea511e4219d350c856f63",
)
TOOLZ = Archive(
    "pypi", "toolz", "0.10.0", "08fdd5ef7c96480ad11c12d472de21acd32359996f69a5259299b540feba4560"
)
INICONFIG = Archive(
    "pypi", "iniconfig", "2.3.1", "67f4b9c50da0dedf52af349e7749a80a9057a5031199791b906c3bb3ae878960"
)
ZOD = Archive(
    "npm", "zod", "3.25.76", "9e1f1a05f0dd0c1dab64ee91ceb9bf55cd44d35368c70edda80a2fdc70a88377"
)
DEDENT = Archive(
    "npm", "ts-dedent", "2.3.0", "65d54d1418fd6fe57e6da83806423c25897a0d09ac906c109ea2d1327fd5acf8"
)


@dataclass(frozen=True)
class Real:
    """One project: how it is laid out, and the feature; `files` are by path, from the root of the
    repository.
    """

    name: str
    lay_out: Callable[[Path], None]
    idea: str
    tests: dict[str, str]
    wrong: dict[str, str]
    right: dict[str, str]
    append: dict[str, str] = field(default_factory=dict)
    tag: str = ""
    targets: int = 1
    fails_on_base: int = 0


def _python(archive: Archive, root: Path) -> None:
    archive.unpack(root)
    (root / "PKG-INFO").unlink(missing_ok=True)
    for path in root.glob("*.egg-info"):
        shutil.rmtree(path)


def _zod(root: Path) -> None:
    ZOD.unpack(root)
    for path in root.iterdir():
        if path.name not in {"src", "package.json", "README.md", "LICENSE"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    package = json.loads((root / "package.json").read_text())
    package |= {
        "devDependencies": {"vitest": "3.2.4", "typescript": "5.8.3"},
        "scripts": {"test": "vitest run"},
    }
    (root / "package.json").write_text(json.dumps(package, indent=2) + "\n")
    (root / ".gitignore").write_text("node_modules\n")
    (root / "vitest.config.ts").write_text(
        'import { defineConfig } from "vitest/config";\n\n'
        'export default defineConfig({\n  resolve: { alias: { "zod/v3": "/src/v3/index.ts" } },\n'
        '  test: { include: ["src/v3/tests/**/*.test.ts"], pool: "threads", '
        "poolOptions: { threads: { isolate: false } } },\n});\n"
    )


def _dedent(root: Path) -> None:
    DEDENT.unpack(root)
    for name in ("dist", "esm"):
        shutil.rmtree(root / name)
    (root / ".gitignore").write_text("node_modules\ndist\nesm\n")
    options = {
        "target": "es2019",
        "module": "commonjs",
        "strict": True,
        "esModuleInterop": True,
        "rootDir": ".",
    }
    options |= {
        "ignoreDeprecations": "6.0",
        "moduleResolution": "node10",
        "paths": {"ts-dedent": ["./src/index.ts"]},
    }
    (root / "tsconfig.jest.json").write_text(json.dumps({"compilerOptions": options}) + "\n")


def _monorepo(root: Path) -> None:
    _python(INICONFIG, root / "services" / "ini")
    settings = root / "services" / "ini" / "pyproject.toml"
    settings.write_text(
        settings.read_text().replace(
            "[tool.setuptools_scm]", '[tool.setuptools_scm]\nroot = "../.."'
        )
    )
    (root / "web").mkdir(parents=True)
    _dedent(root / "web")
    (root / "README.md").write_text("# Both\n")


ROOT_TEST = """\
import pytest

from itsdangerous import peek


def test_peek_returns_the_payload_and_checks_nothing():
    assert peek(b"value.signature") == b"value"
    assert peek("a.b.c") == b"a.b"


def test_peek_needs_a_separator():
    with pytest.raises(ValueError, match="no signature"):
        peek("value")
"""
PEEK = '''\
from __future__ import annotations


def peek(token: str | bytes, sep: bytes = b".") -> bytes:
    """Return the payload of a signed token without checking its signature."""
    raw = token.encode() if isinstance(token, str) else bytes(token)
    payload, found, _ = raw.{how}(sep)
    if not found:
        raise ValueError("there is no signature")
    return payload
'''

PROJECTS = (
    Real(
        "src layout",
        lambda root: _python(ITSDANGEROUS, root),
        "look into a token without checking its signature",
        {"tests/test_itsdangerous/test_peek.py": ROOT_TEST},
        {"src/itsdangerous/peek.py": PEEK.format(how="partition")},
        {"src/itsdangerous/peek.py": PEEK.format(how="rpartition")},
        {"src/itsdangerous/__init__.py": "\nfrom .peek import peek as peek  # noqa: E402\n"},
    ),
    Real(
        "flat, tests in the package",
        lambda root: _python(H11, root),
        "describe an event in one line for logs",
        {
            "h11/tests/test_describe.py": "from .._describe import describe\nfrom .._events import Data, Request\n\n\n"
            "def test_a_request_is_method_and_target() -> None:\n"
            '    request = Request(method="GET", target="/x", headers=[("Host", "a")])\n'
            '    assert describe(request) == "Request GET /x"\n\n\n'
            "def test_data_is_its_length() -> None:\n"
            '    assert describe(Data(data=b"abc")) == "Data of 3 bytes"\n'
            '    assert describe(Data(data=b"a")) == "Data of 1 byte"\n'
        },
        {
            "h11/_describe.py": "def describe(event: object) -> str:\n    return type(event).__name__\n"
        },
        {
            "h11/_describe.py": "from ._events import Data, Request\n\n\ndef describe(event: object) -> str:\n"
            '    """Say in one line what an event is."""\n'
            "    if isinstance(event, Request):\n"
            '        return f"Request {event.method.decode()} {event.target.decode()}"\n'
            "    if isinstance(event, Data):\n"
            "        size = len(event.data)\n"
            '        return f"Data of {size} byte" + ("" if size == 1 else "s")\n'
            "    return type(event).__name__\n"
        },
    ),
    Real(
        "slow suite",
        lambda root: _python(MORE, root),
        "count how often neighbours differ",
        {
            "tests/test_changes.py": "from unittest import TestCase\n\nfrom more_itertools.changes import changes\n\n\n"
            "class ChangesTests(TestCase):\n"
            "    def test_counts(self):\n        self.assertEqual(changes('aabbc'), 2)\n\n"
            "    def test_nothing(self):\n        self.assertEqual(changes([]), 0)\n"
            "        self.assertEqual(changes([1]), 0)\n"
        },
        {
            "more_itertools/changes.py": "from collections.abc import Iterable\n\n\n"
            "def changes(iterable: Iterable[object]) -> int:\n    return len(set(iterable))\n"
        },
        {
            "more_itertools/changes.py": "from collections.abc import Iterable\nfrom itertools import pairwise\n\n\n"
            "def changes(iterable: Iterable[object]) -> int:\n"
            '    """Count how often an item differs from the one before it."""\n'
            "    return sum(one != other for one, other in pairwise(iterable))\n"
        },
    ),
    Real(
        "tests fail on the base",
        lambda root: _python(TOOLZ, root),
        "turn a dictionary round",
        {
            "toolz/tests/test_turned.py": "from toolz.turned import turned\n\n\n"
            "def test_keys_become_values():\n    assert turned({'a': 1, 'b': 2}) == "
            "{1: 'a', 2: 'b'}\n\n\n"
            "def test_of_two_the_first_stays():\n    assert turned({'a': 1, 'b': 1}) == {1: 'a'}\n"
        },
        {
            "toolz/turned.py": "def turned(d):\n    return {value: key for key, value in d.items()}\n"
        },
        {
            "toolz/turned.py": "def turned(d):\n    result = {}\n    for key, value in d.items():\n"
            "        if value not in result:\n            result[value] = key\n    return result\n"
        },
        fails_on_base=3,
    ),
    Real(
        "TypeScript with vitest",
        _zod,
        "name the kinds of issues in an error",
        {
            "src/v3/tests/issue-codes.test.ts": 'import { expect, test } from "vitest";\n\nimport * as z from "zod/v3";\n'
            'import { issueCodes } from "../helpers/issueCodes.js";\n\n'
            'test("each code once, in order", () => {\n'
            "  const result = z.object({ a: z.string(), b: z.string(), c: z.number().min(3) })"
            ".safeParse({ a: 1, b: 2, c: 1 });\n"
            '  expect(issueCodes(result.error!)).toEqual(["invalid_type", "too_small"]);\n});\n'
        },
        {
            "src/v3/helpers/issueCodes.ts": 'import type { ZodError } from "../ZodError.js";\n\n'
            "export const issueCodes = (error: ZodError): string[] => error.issues.map((issue) "
            "=> issue.code);\n"
        },
        {
            "src/v3/helpers/issueCodes.ts": 'import type { ZodError } from "../ZodError.js";\n\n'
            "/** Each kind of issue in an error once, in the order of their first appearance. */\n"
            "export const issueCodes = (error: ZodError): string[] => [...new "
            "Set(error.issues.map((issue) => issue.code))];\n"
        },
    ),
    Real(
        "monorepo of both",
        _monorepo,
        "indent lines, in both languages",
        {
            "services/ini/testing/test_indent.py": "from iniconfig.indent import indented\n\n\n"
            'def test_every_line_is_moved() -> None:\n    assert indented("a\\nb", 2) == "  a\\n  b"\n\n\n'
            'def test_empty_lines_stay() -> None:\n    assert indented("a\\n\\nb", 1) == " a\\n\\n b"\n',
            "web/src/__tests__/indent.spec.ts": "import { describe, expect, it } from '@jest/globals';\n"
            "import { indent } from '../indent';\n\ndescribe('indent', () => {\n"
            "  it('moves every line', () => "
            "{\n    expect(indent('a\\nb', 2)).toEqual('  a\\n  b');\n  });\n"
            "  it('leaves empty lines', () => "
            "{\n    expect(indent('a\\n\\nb', 1)).toEqual(' a\\n\\n b');\n  });\n});\n",
        },
        {
            "services/ini/src/iniconfig/indent.py": "def indented(text: str, by: int) -> str:\n"
            '    """Move every line of a text to the right, but leave empty ones."""\n'
            '    return "\\n".join(" " * by + line if line else line for line in text.split("\\n"))\n',
            "web/src/indent.ts": "export const indent = (text: string, by: number): string =>\n"
            "  text.replace(/^/gm, ' '.repeat(by));\n",
        },
        {
            "web/src/indent.ts": "export const indent = (text: string, by: number): string =>\n"
            "  text.replace(/^(?=.)/gm, ' '.repeat(by));\n",
        },
        tag="v2.3.1",
        targets=2,
    ),
)
