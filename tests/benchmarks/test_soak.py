"""The soak, in a short form: real processes, callers who leave, and nothing that stays."""

import json
from collections import Counter

import anyio
import pytest

from benchmarks.soak import Soaked, run


def test_the_slope_is_that_of_memory_over_requests_after_the_warm_up():
    soaked = Soaked(memory=[(0, 500.0, 70.0), *((1000 * n, 100.0 + n, 80.0) for n in range(1, 10))])
    assert soaked.slope() == pytest.approx(100.0)
    assert soaked.worker() == 80.0


def test_what_was_seen_can_be_written_down():
    soaked = Soaked(Counter(answered=2, gone=1), [(3, 100.0, 70.0)], {"requests": 0.0})
    told = json.loads(json.dumps(soaked.told()))
    assert told["outcomes"] == {"answered": 2, "gone": 1}
    assert (told["requests"], told["memory"]) == (3, [[3, 100.0, 70.0]])


@pytest.mark.parametrize("minutes", [pytest.param(0.1), pytest.param(20.0, marks=pytest.mark.slow)])
def test_callers_who_leave_leave_nothing_behind(minutes):
    soaked = anyio.run(run, minutes, 8)
    assert soaked.outcomes["answered"] > 0
    assert soaked.outcomes["gone"] > 0
    assert not any(name.startswith("failed") for name in soaked.outcomes)
    assert not any(soaked.left.values()), soaked.left
