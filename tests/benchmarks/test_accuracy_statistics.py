"""The statistics against values known from elsewhere, and what must hold of them for any data."""

import math
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.accuracy import stats

SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=12)


@given(st.integers(1, 9), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(samples, data):
    right = data.draw(st.integers(0, samples))
    k = data.draw(st.integers(1, samples))
    subsets = list(combinations([at < right for at in range(samples)], k))
    assert stats.pass_at(samples, right, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_more_than_there_are_samples_is_refused():
    with pytest.raises(ValueError, match="at least 5 samples"):
        stats.pass_at(4, 1, 5)


def test_an_interval_of_a_mean_is_as_wide_as_the_normal_approximation_says():
    values = [1.0] * 40 + [0.0] * 60
    interval = stats.mean(values)
    half = 1.96 * math.sqrt(0.4 * 0.6 / 100)
    assert interval.value == pytest.approx(0.4)
    assert interval.low == pytest.approx(0.4 - half, abs=0.012)
    assert interval.high == pytest.approx(0.4 + half, abs=0.012)


@settings(max_examples=10, deadline=None)
@given(SHARES)
def test_an_interval_holds_its_estimate_and_stays_within_the_data(values):
    interval = stats.mean(values)
    assert min(values) - 1e-9 <= interval.low <= interval.value + 1e-9
    assert interval.value - 1e-9 <= interval.high <= max(values) + 1e-9


@settings(max_examples=5, deadline=None)
@given(SHARES)
def test_pairing_makes_a_constant_difference_certain(values):
    interval = stats.difference([value + 0.25 for value in values], values)
    assert (interval.low, interval.high) == (pytest.approx(0.25), pytest.approx(0.25))


def test_pairs_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="longer than argument"):
        stats.difference([1.0], [1.0, 0.0])


def test_a_ratio_is_of_sums_not_a_mean_of_ratios():
    assert stats.ratio([1.0, 30.0], [10.0, 40.0]).value == pytest.approx(31 / 50)


def test_the_law_of_coverage_is_found_again():
    ks = [1 << power for power in range(11)]
    law = stats.fitted(ks, [math.exp(-2.5 * k**-0.4) for k in ks])
    assert (law.a, law.b) == (pytest.approx(-2.5), pytest.approx(-0.4))
    assert law.error == pytest.approx(0, abs=1e-9)
    assert law.at(16) == pytest.approx(math.exp(-2.5 * 16**-0.4))


def test_points_that_say_nothing_are_left_out_of_the_fit():
    law = stats.fitted([1, 2, 4, 8], [0.0, 0.2, 0.4, 1.0])
    assert law.b < 0
    assert math.isnan(stats.fitted([1, 2], [0.0, 1.0]).a)


def test_quantiles_interpolate():
    assert stats.quantile([0.0, 1.0, 2.0, 3.0], 0.5) == pytest.approx(1.5)
    assert stats.quantile([5.0], 0.975) == 5.0
