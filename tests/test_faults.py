"""The table of faults is true: each still fits the code, and its test goes red when it is put in."""

import pytest

from tests.faults.table import Fault, every_fault, stale, with_fault
from tests.faults.trial import problems


@pytest.mark.parametrize("fault", every_fault(), ids=lambda fault: fault.id)
def test_a_fault_fits_the_code_and_names_a_test_that_is_there(fault):
    assert stale(fault) == ""


def test_no_two_faults_have_one_name():
    names = [fault.id for fault in every_fault()]
    assert sorted(set(names)) == sorted(names)


def test_a_fault_whose_text_or_test_is_gone_is_stale(tmp_path):
    (tmp_path / "code.py").write_text("a = 1\nb = 1\n")
    (tmp_path / "test_code.py").write_text("def test_it(): ...\n")

    def fault(old, test="test_code.py::test_it"):
        return Fault(id="one", what="", file="code.py", old=old, new="c = 2", test=test)

    assert stale(fault("a = 1"), tmp_path) == ""
    assert "stands 2 times" in stale(fault(" = 1"), tmp_path)
    assert "stands 0 times" in stale(fault("d"), tmp_path)
    assert "there is no test" in stale(fault("a = 1", "test_code.py::test_that"), tmp_path)
    assert "needs either a test" in stale(fault("a = 1", ""), tmp_path)
    assert with_fault(fault("a = 1"), tmp_path) == "c = 2\nb = 1\n"


@pytest.mark.slow
def test_every_fault_is_noticed_by_the_test_it_names():
    assert [problem for _, problem in problems(every_fault()) if problem] == []
