"""What the text of a test file says: which old tests were rewritten, and which tests have to run."""

import pytest

from pipeline.gates.functions import functions_in, is_function, reported_in, rewritten
from pipeline.gates.masks import mask_go, mask_javascript, mask_rust

IN_PYTHON = """
import pytest
import unittest
from app import add


def check(value):
    return value


def test_zero():
    assert add(0, 0) == 0


class Base(unittest.TestCase):
    def total(self, value):
        return value


class AddTest(Base):
    def setUp(self):
        self.zero = 0

    def test_add(self):
        self.assertEqual(self.total(add(0, 0)), self.zero)


class TestOuter:
    class TestInner:
        def test_deep(self):
            assert add(0, 0) == 0
"""
IN_JAVASCRIPT = """
describe('add', () => {
  it('takes zero', { timeout: 5 }, async ({ name }) => { expect(add(0, 0)).toBe(0); });
});
describe('first', () => {
  it('takes zero', () => expect(first([0])).toBe(0));
});
test.each`a | b
${1} | ${'}'}`('adds $a', ({ a }) => { expect(add(a, 0)).toBe(a); });
it.skipIf(process.platform === 'win32')('reads', () => { expect(read(`${"`"}`)).toBe(/[/'{]/); });
"""
IN_GO = """
func TestBrace(t *testing.T) {
	if strings.Count("}{{", `}`) != Add(0, 1) || '{' == 1 { // }
		t.Fatal("no")
	}
	if Add(0, 0) != 0 {
		t.Fatal("no")
	}
}

func (s *Suite) TestMethod() {
	s.Equal(0, Add(0, 0))
}
"""
IN_RUST = """
#[rstest]
#[case(vec![1])]
fn rows<'a>(#[case] rows: Vec<i32>) { assert_eq!(r#"}"#.len(), add(0, 1)); assert_eq!(add(0, 0), 0); }

#[should_panic]
#[test]
fn panics() { add('{' as i32, i32::MAX); }
"""


def names(path: str, old: str, new: str, *reported: str) -> list[str]:
    known = reported_in(path, reported).__contains__
    return rewritten(functions_in(path, old, known), functions_in(path, new, known))


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("test_zero", "def test_zero():", "def test_zero(add=lambda a, b: 0):"),
        ("test_zero", "def test_zero():", "def test_zero(add):"),
        ("test_zero", "def test_zero():", "@parametrize\ndef test_zero():"),
        ("test_zero", "class Base", "test_zero = check\n\n\nclass Base"),
        ("test_zero", "class Base", "globals()['test_zero'] = check\n\n\nclass Base"),
        ("test_zero", "from app import add\n", "def add(a, b): return a + b\n"),
        ("AddTest.test_add", "class AddTest(Base)", "class AddTest(Quiet)"),
        ("AddTest.test_add", "class AddTest(Base)", "@quiet\nclass AddTest(Base)"),
        ("AddTest.test_add", "        self.zero = 0", "        self.zero = Anything()"),
        ("AddTest.test_add", "        return value\n\n\nclass A", "        return 0\n\n\nclass A"),
        ("AddTest.test_add", "    def total(", "    assertEqual = print\n\n    def total("),
        ("AddTest.test_add", "class TestOuter", "Base.total = check\n\n\nclass TestOuter"),
        ("AddTest.test_add", "class TestOuter", "unittest.X.assertEqual = 0\n\n\nclass TestOuter"),
        ("TestOuter.TestInner.test_deep", "            assert add(0, 0) == 0", "            pass"),
    ],
)
def test_an_old_test_of_python_is_rewritten_by_all_that_its_file_does_to_it(name, old, new):
    assert name in names("tests/test_a.py", IN_PYTHON, replaced(IN_PYTHON, old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def test_zero():", '@pytest.mark.parametrize("n", [1])\ndef test_zero():'),
        ("def test_zero():", "def test_zero():  # nothing"),
        ("    return value\n\n\ndef test_zero", "    return [value]\n\n\ndef test_zero"),
        ("class AddTest(Base):", "class AddTest(Base):\n    more = 1\n"),
        ("class AddTest(Base):", "class AddTest(Base):\n    def test_more(self):\n        pass\n"),
        ("class TestOuter:", "def test_more():\n    assert add(1, 0) == 1\n\n\nclass TestOuter:"),
        ("import pytest\n", "import pytest\nimport sys\n"),
        ("from app import add\n", "from app.money import add\n"),
    ],
)
def test_what_stands_beside_an_old_test_of_python_is_free(old, new):
    assert names("tests/test_a.py", IN_PYTHON, replaced(IN_PYTHON, old, new)) == []


def test_tests_below_conditions_and_in_made_classes_are_read():
    old = (
        "if True:\n    def test_a():\n        assert f()\n\n"
        "def make():\n    class XTest(TestCase):\n"
        "        def test_b(self):\n            self.assertEqual(f(), 1)\n    return XTest\n"
    )
    assert names("a.py", old, old.replace("assert f()", "pass")) == ["test_a"]
    assert names("a.py", old, old.replace("if True", "if False")) == ["test_a"]
    assert names("a.py", old, old.replace("f(), 1", "1, 1")) == ["XTest.test_b"]


def test_a_test_that_only_the_report_knows_is_read():
    old = "def should_add():\n    assert add(0, 0) == 0\n"
    new = "def should_add():\n    pass\n"
    assert names("tests/test_a.py", old, new) == []
    assert names("tests/test_a.py", old, new, "tests.test_a::should_add") == ["should_add"]
    old = "const check = test;\ncheck('adds zero', () => { expect(add(0, 0)).toBe(0); });"
    new = "const check = test;\ncheck('adds zero', () => {});"
    assert names("a.test.js", old, new, "a.test.js::group adds zero") == ["adds zero"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("takes zero", " expect(add(0, 0)).toBe(0); ", ""),
        ("takes zero", "expect(first([0])).toBe(0)", "{}"),
        ("adds $a", " expect(add(a, 0)).toBe(a); ", ""),
        ("reads", 'expect(read(`${"`"}`)).toBe(/[/\'{]/); ', ""),
    ],
)
def test_an_old_test_of_javascript_is_rewritten(name, old, new):
    assert names("a.test.ts", IN_JAVASCRIPT, replaced(IN_JAVASCRIPT, old, new)) == [name]


@pytest.mark.parametrize(
    ("path", "text", "more"),
    [
        ("a.test.ts", IN_JAVASCRIPT, "test('takes zero', () => { expect(1); });\n"),
        ("a.test.ts", "test('one', () => equal(add(0, 1), 1));\n", "test('two', () => {});\n"),
        ("a_test.go", IN_GO, "func TestMore(t *testing.T) {}\n"),
        ("a_test.go", IN_GO, "func TestMain(m *testing.M) { os.Exit(m.Run()) }\n"),
        ("a.rs", IN_RUST, "#[test]\nfn more() { assert!(add(1, 1) == 2); }\n"),
    ],
)
def test_a_new_test_below_or_above_leaves_the_old_ones_as_they_are(path, text, more):
    assert names(path, text, text + more) == []
    assert names(path, text, more + text) == []
    assert len(functions_in(path, text + more)) >= len(functions_in(path, text))


@pytest.mark.parametrize(
    ("path", "text", "name", "old", "new"),
    [
        ("a_test.go", IN_GO, "TestBrace", "if Add(0, 0) != 0", "if false"),
        ("a_test.go", IN_GO, "TestMethod", "	s.Equal(0, Add(0, 0))\n", ""),
        ("a.rs", IN_RUST, "rows", " assert_eq!(add(0, 0), 0);", ""),
        ("a.rs", IN_RUST, "panics", "#[should_panic]\n", ""),
    ],
)
def test_an_old_test_of_go_or_rust_is_rewritten(path, text, name, old, new):
    assert names(path, text, replaced(text, old, new)) == [name]


@pytest.mark.parametrize(
    ("path", "text", "run"),
    [
        ("a.py", "@pytest.fixture\ndef test_x(): ...\n\ndef test_a(): ...\n", ["test_a"]),
        ("a.py", "class Mixin:\n    def test_a(self): ...\n", []),
        ("a.py", "class TestA:\n    def test_a(self): ...\n", ["TestA.test_a"]),
        ("a.py", "class TestA:\n    def __init__(self): ...\n    def test_a(self): ...\n", []),
        ("a.py", "class A(X.TestCase):\n    def test_a(self): ...\n", ["A.test_a"]),
        ("a.py", "class A(TestCase):\n    __test__ = False\n    def test_a(self): ...\n", []),
        ("a.js", "// test('a', f);\n/* it('b', f) */\ntest('c', f);\ntest.skip('d', f)\n", ["c"]),
        ("a.js", "const a = `${`test('a', f)`}`; t.test('b', f); test.for([1])('c', f);", ["c"]),
        ("a_test.go", "func ExampleA() {\n}\nfunc ExampleB() {\n// Output:\n}\n", ["ExampleB"]),
        ("a_test.go", "func TestMain(m *testing.M) {}\nfunc Testify(t T) {}\n", []),
        ("a.rs", "#[cfg(test)]\nmod t {\n#[tokio::test]\nasync fn a() {}\n}\n", ["a"]),
        ("a.rs", "// #[test] fn a() {}\n#[cfg(windows)]\n#[test]\nfn b() {}\n", []),
        ("a.txt", "test('a')", []),
        ("a.py", "def test_a(:\n", []),
    ],
)
def test_only_tests_that_surely_run_are_missed(path, text, run):
    assert [one.name for one in functions_in(path, text) if one.is_run] == run


@pytest.mark.parametrize(
    ("path", "body", "asserts"),
    [
        ("a.py", "def test_a():\n    assert True\n", False),
        ("a.py", "def test_a():\n    assert 1 + 1 == 2\n", False),
        ("a.py", "def test_a():\n    assert add(0) == 0\n", True),
        ("a.py", "def test_a(self):\n    self.assertEqual(1, 1)\n", False),
        ("a.py", "def test_a(self):\n    with pytest.raises(ValueError):\n        f()\n", True),
        ("a.py", "def test_a(mock):\n    f()\n    mock.assert_called_once()\n", True),
        ("a.js", "test('a', () => { expect(true).toBe(true); });", False),
        ("a.js", "test('a', () => { expect(add(0)).toBe(true); });", True),
        ("a_test.go", "func TestA(t *testing.T) { Add(0, 0) }", False),
        ("a_test.go", 'func TestA(t *testing.T) { t.Fatal("no") }', True),
        ("a.rs", "#[test]\nfn a() { assert!(true); }", False),
        ("a.rs", "#[test]\nfn a() { assert_eq!(add(0), 0); }", True),
    ],
)
def test_what_compares_only_what_is_written_there_asserts_nothing(path, body, asserts):
    assert [one.asserts for one in functions_in(path, body)] == [asserts]


def test_a_title_with_parameters_may_be_any_test():
    assert is_function("a.test.js::doubles 2", "a.test.js", "doubles $a")
    assert not is_function("a.test.js::doubles 2", "a.test.js", "triples")


@pytest.mark.parametrize(
    ("mask", "text", "blanked"),
    [
        (mask_go, "a := \"{\" // }\n'{' `\n}`", "a := \" \"     \n' ' `\n `"),
        (mask_rust, "f::<'a>('{', \"\\\"}\") /* { */", "f::<'a>(' ', \"   \")        "),
        (
            mask_javascript,
            "x / 2; y = /[/}]/; `${ {a: `}`} }}`",
            "x / 2; y = /    /; `" + " " * 14 + "`",
        ),
    ],
)
def test_a_mask_blanks_strings_and_comments(mask, text, blanked):
    assert mask(text) == blanked
    assert len(mask(text)) == len(text)
