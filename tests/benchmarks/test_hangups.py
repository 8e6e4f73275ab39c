"""The benchmark of hang-ups, in a short form: every kind of caller goes, and the clock stops."""

import anyio

from benchmarks.hangups import FIRST, report, run


def test_callers_who_go_at_every_moment_are_timed():
    figures = anyio.run(run, (2,), 1)
    kinds = {(row["phase"], row["stream"]) for row in figures}
    assert kinds == {(phase, stream) for phases in FIRST.values() for phase in phases for stream in (True, False)}
    assert all(0 < row["ms_p50"] <= row["ms_max"] for row in figures)
    page = report(figures, 1)
    assert all(f"| {row['ms_max']:.1f} |" in page for row in figures)
