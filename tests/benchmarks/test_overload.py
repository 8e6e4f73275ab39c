"""The benchmark of overload: what it counts, and, slowly, that it runs."""

import anyio
import pytest

from benchmarks.overload import Seen, goals, report, run, told


def phases(goodput, refusal, light):
    """Figures of a run."""
    heavy = Seen(answered=[0.8], in_time=goodput * 10, refused=[refusal] * 100)
    alone, beside = Seen(answered=[0.8] * 10, in_time=10), Seen(answered=[light] * 10, in_time=10)
    made = {
        "alone": {"light": alone},
        "at capacity": {"heavy": Seen(answered=[0.8], in_time=200)},
        "ten times": {"heavy": heavy, "light": beside},
        "over a quota": {"capped": Seen(refused=[refusal])},
    }
    figures = {phase: {name: told(seen, 10.0) for name, seen in tenants.items()} for phase, tenants in made.items()}
    return {"seconds a phase": 10.0, "MB grown": 1.0, "phases": figures}


def test_the_figures_are_those_that_were_seen():
    found = {name: value for name, value, _ in goals(phases(goodput=18, refusal=0.004, light=1.2))}
    assert found["goodput at ten times the load, of the peak"] == pytest.approx(19 / 20)
    assert found["refusals because all is full, p99 in ms"] == pytest.approx(4)
    assert found["the light tenant's p99, times what it is alone"] == pytest.approx(1.5)
    assert found["refusals without retry-after"] == 0


def test_the_page_has_a_row_for_each_goal():
    figures = phases(goodput=18, refusal=0.004, light=1.2)
    page = report(figures)
    assert all(f"| {name} | {value:.2f} | {target} |" in page for name, value, target in goals(figures))


@pytest.mark.slow
def test_ten_times_the_load_is_answered_as_far_as_possible():
    found = {name: value for name, value, _ in goals(anyio.run(run, 6.0))}
    assert found["goodput at ten times the load, of the peak"] > 0.8
    assert found["refusals without retry-after"] == 0
    assert found["the light tenant's refusals"] == 0
