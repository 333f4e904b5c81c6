"""Single faults: which are made for a change, that each is Python, and that nothing else in the
file moves.
"""

import ast
import textwrap

import msgspec
import pytest

from pipeline.gates import table
from pipeline.gates.faults import changed_lines, faults
from pipeline.language.flow import GateName
from pipeline.language.target import Proof, Target
from pipeline.language.words import Duration
from tests.helpers.laptop import NIGHT_S, Laptop
from tests.helpers.trees import BASE, TARGET, trees

BEFORE = "def old(a):\n    return a < 1\n"
AFTER = BEFORE + textwrap.dedent('''

    class Ä:
        @property
        def limit(self):
            """Sagt es."""
            return self._limit if self._limit >= 0 else 0

        async def check(self, amount):
            if amount in self.refused:
                raise ValueError("é")
            while (amount == 1):
                amount += 1

        def later(self):
            ...
''')


def told(before=BEFORE, after=AFTER):
    return [(fault.line, fault.what) for fault in faults(before, after)]


def test_each_kind_is_tried_in_turn_and_only_where_something_changed():
    assert told() == [
        (9, "`>=` made `>` in limit"),
        (9, "condition negated in limit"),
        (7, "limit returns nothing"),
        (7, "limit raises"),
        (12, "`in` made `not in` in check"),
        (12, "condition negated in check"),
        (11, "check raises"),
        (14, "`==` made `!=` in check"),
        (14, "condition negated in check"),
    ]
    assert told(AFTER, AFTER.replace("== 1", "== 2")) == [
        (14, "`==` made `!=` in check"),
        (14, "condition negated in check"),
        (11, "check raises"),
    ]


def test_every_fault_is_python_and_changes_one_place_alone():
    for fault in faults(BEFORE, AFTER):
        ast.parse(fault.text)
        assert fault.text != AFTER
        assert fault.text.startswith(BEFORE)
        changed = changed_lines(AFTER, fault.text)
        assert len(changed) <= 1, fault


def test_operands_and_arguments_are_dropped_where_that_leaves_python():
    after = (
        "def f(a, b):\n    if a and b:\n        return max(a, b)\n    if a or (b):\n"
        "        return f(a, b=(b))\n"
    )
    found = faults("", after)
    for fault in found:
        ast.parse(fault.text)
    told = [fault.what for fault in found]
    assert "`b` dropped in f" in told
    assert "argument `b` dropped in f" in told


def test_a_body_that_raises_keeps_its_docstring_and_decorator():
    text = next(fault.text for fault in faults(BEFORE, AFTER) if fault.what == "limit raises")
    assert (
        '    @property\n    def limit(self):\n        """Sagt es."""\n        raise RuntimeError'
        in text
    )


@pytest.mark.parametrize("after", ["def f(:\n", "", "x = 1\n", "def f():\n    pass\n", BEFORE])
def test_nothing_to_try(after):
    assert faults(BEFORE, after) == []


WEAK_TEST = "from app.money import half\n\n\ndef test_half():\n    assert half(4) == 2\n"
HALF = (
    BASE["src/app/money.py"]
    + "\n\ndef half(a):\n    if a < 0:\n        raise ValueError(a)\n    return a // 2\n"
)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A red gate's result, and the tree that turned it green with a test that is too weak."""
    with trees(tmp_path_factory.mktemp("faults")) as work:
        red = table.check(GateName.RED, work.context(work.plus(tests__test_new=WEAK_TEST)))
        yield work, red, work.plus(tests__test_new=WEAK_TEST, src__app__money=HALF)


def proof_of(half, rules, **more):
    work, red, tree = half
    asked = Target(
        name=TARGET.name, source=TARGET.source, tests=TARGET.tests, test=TARGET.test, proof=rules
    )
    context = msgspec.structs.replace(work.context(tree, red, **more), targets=(asked,))
    return table.check(GateName.PROOF, context)


@pytest.mark.parametrize(("least", "passed"), [(0.0, True), (0.5, True), (0.9, False)])
def test_proof_counts_the_faults_that_tests_notice_and_names_the_others(half, least, passed):
    proof = proof_of(half, Proof(min=least))
    shown = proof.evidence.faults
    assert (shown.tried, shown.noticed) == (2, 1)
    assert (shown.bodies_tried, shown.bodies_noticed) == (2, 2)
    assert [str(one) for one in shown.survivors] == ["src/app/money.py:6: `<` made `<=` in half"]
    assert proof.passed is passed
    if passed:
        assert "1 of 2 single faults noticed, and 2 of 2 bodies taken away" in proof.detail
    else:
        assert "`proof.min` asks for 0.9" in proof.failures[0]


def passing(slept_s, worked_s):
    """A clock: after each look at it the machine sleeps, and works."""
    laptop = Laptop()

    def clock():
        before = laptop.awake_s()
        laptop.sleep(slept_s)
        laptop.work(worked_s)
        return before

    return clock


@pytest.mark.parametrize(("slept_s", "worked_s", "tried"), [(NIGHT_S, 1.0, 1), (0.0, 61.0, 0)])
def test_faults_beyond_the_limit_of_number_or_of_awake_time_are_counted_as_not_tried(
    half, slept_s, worked_s, tried
):
    rules = Proof(faults=1, timeout_s=Duration(60.0))
    proof = proof_of(half, rules, awake=passing(slept_s, worked_s))
    # The one that is tried goes unnoticed, so that a body is taken away too.
    assert (proof.evidence.faults.tried, proof.evidence.faults.not_tried) == (tried, 4 - 2 * tried)
    assert ("2 not tried" if tried else "no time was left") in proof.detail
