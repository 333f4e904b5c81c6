"""A sample of the crash matrix; all of it: `./run crashes --full`."""

import pytest

from tests.crashes.matrix import sample, tried
from tests.crashes.simulate import simulate


@pytest.mark.slow
@pytest.mark.parametrize("crash", sample(), ids=str)
def test_nothing_is_lost_and_nothing_doubled(crash, tmp_path):
    verdict = tried(crash, tmp_path / "small")
    assert verdict.reached, "the failpoint was not met"
    assert (verdict.lost, verdict.doubled) == ((), ())


@pytest.mark.parametrize(
    "seeds",
    [range(200), pytest.param(range(200, 2_000), marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_no_seed_breaks_a_rule_of_the_scheduler(seeds):
    assert simulate(seeds) == -1


@pytest.mark.parametrize("seed", [25353, 27075, 70314])
def test_a_seed_that_once_broke_a_rule_breaks_none(seed):
    assert simulate([seed]) == -1
