"""What a search's trace tells of its speed."""

import json
import sys
from pathlib import Path

import anyio
import pytest

from benchmarks.search.figures import discarded, figures, waiting
from server.paths import ROOT


def opened(when, id):
    return when, {"event": "opened", "id": id}


def closed(when, id):
    return when, {"event": "closed", "id": id}


def test_a_wave_waits_for_its_last_sequence():
    events = [opened(0, "0.0"), opened(0, "0.1"), closed(1, "0.0"), closed(3, "0.1")]
    assert waiting(events) == pytest.approx(2 / 6)


def test_waves_are_told_apart():
    first = [opened(0, "0.0"), closed(4, "0.0")]
    second = [opened(5, "0.0.0"), opened(5, "0.0.1"), closed(6, "0.0.0"), (7, {"event": "lost", "id": "0.0.1"})]
    assert waiting([*first, *second]) == pytest.approx(1 / 8)
    assert waiting([]) == 0.0


def candidate(id, tokens, pruned=False):
    return {"id": id, "parent": id.rpartition(".")[0], "tokens": tokens, "pruned": pruned}


def test_what_no_path_of_the_search_holds_is_discarded():
    grown = [candidate("0.0", 32), candidate("0.1", 32, pruned=True), candidate("0.0.0", 64)]
    assert discarded([*grown, candidate("0.0.1", 64, pruned=True)], sampled=128) == pytest.approx(0.5)
    assert discarded(grown[:1], sampled=32) == 0.0


def traced(prompt, cached, calls):
    tokens = {"answer": 32, "reasoning": 32, "verifier": 0, "prompt": prompt, "cached": cached, "calls": calls}
    return {"tokens": tokens, "candidates": [candidate("0.0", 32), candidate("0.0.0", 64)]}


def test_a_cache_that_has_every_whole_block_hits_always():
    first, second = 40, 40 + 32
    told = figures(traced(first + second, 64, 2), [], prompt=40, block=32)
    assert told["hits"] == 1.0
    assert told["prefill"] == pytest.approx(8 / 64)


def test_a_prompt_of_whole_blocks_has_its_last_one_read_again():
    told = figures(traced(64 + 96, 64, 2), [], prompt=64, block=32)
    assert told["hits"] == 1.0


@pytest.mark.slow
def test_the_script_measures_every_search_on_the_simulated_engine(tmp_path: Path):
    out = tmp_path / "search.json"
    command = [sys.executable, "-m", "benchmarks.search", "--rounds", "1", "--max-tokens", "64", "--out", str(out)]
    anyio.run(lambda: anyio.run_process(command, cwd=ROOT))
    [one] = json.loads(out.read_text())["rounds"]
    assert set(one) == {"beam_search", "dvts", "particle_filter", "mcts"}
    for found in one.values():
        assert found["hits"] > 0.8
        assert 0 < found["ratio"] < 100
