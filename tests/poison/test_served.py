"""What hostile texts do to a server whose model says them: nothing."""

import json
import random
import time
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from benchmarks.engine import simulated
from server.settings import Engine, Settings
from tests.poison.corpus import MARKER, corpus
from tests.poison.lag import lagging
from tests.serving import serving

pytestmark = pytest.mark.anyio
SECONDS = 0.25
"""What a call to a worker may take here."""
CALLS = 4
"""Calls that one request may lose: three comparisons, and a verifier's text."""
SLACK = 15.0
"""Seconds that a busy machine may add."""
LONGEST_LAG = 0.5
"""Seconds of CPU between two turns of the loop; 0.02 is the aim, which a busy machine misses by itself."""
HONEST = "<answer>seven</answer>"
SETTINGS = Settings(workers={"seconds": SECONDS}, limits={"tokens": 1 << 24})
VOTE = {"name": "self_consistency", "n": 3, "early_stop": "none"}
VERIFIERS = [
    {"name": "math_equal", "reference": "x+7"},
    {"name": "regex", "pattern": "(?:a|b)c+$", "where": "text"},
    {"name": "json_schema", "schema": {"type": "object", "required": ["q"]}},
    {"name": "expression", "numbers": [3, 4], "target": 7},
    "arithmetic",
]
BEST = {"name": "best_of_n", "n": 3, "verifier": {"name": "ensemble", "members": VERIFIERS}}
MOST = 2000
"""Characters of a text that are said: the simulated engine takes a while for each."""
ALL = corpus()
SOME = random.Random(1).sample(ALL, 6)
ONE_AND_THE_SAME = "gcd"
"""A formula whose variant equals it: no power of 10 shares a factor with one of 3."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def _nothing_was_run():
    """Text that is run somewhere makes a file."""
    Path(MARKER).unlink(missing_ok=True)
    yield
    assert not Path(MARKER).exists()


def said(poison, sample):
    """What a model says that says it, says it once more but a little different, and says something honest."""
    text = poison.text[:MOST]
    other = text.replace("}", "+1}", 1) if poison.kind == "math" else f"{text} "
    return [text, other, HONEST][sample % 3]


async def answered(served, strategy, poison):
    """The reply to a request for that strategy, and the seconds it took."""
    messages = [{"role": "user", "content": "What is 3 + 4?"}]
    request = {"model": "simulated", "messages": messages, "max_tokens": MOST * 2, "seed": 0, "return_trace": True}
    start = time.monotonic()
    reply = await served.client.post("/v1/chat/completions", json={**request, "reasoning_strategy": strategy})
    assert reply.status_code == 200, (poison, reply.text[:500])
    return json.loads(reply.content.decode()), time.monotonic() - start


def check_votes(reply, poison):
    """Nothing votes for the honest answer but itself, and no formula for the one that differs from it."""
    votes = reply["ponder"]["choices"][0]["votes"]
    assert votes["seven"] == 1, (poison.name, votes)
    if poison.kind == "math" and len(poison.text) <= MOST and ONE_AND_THE_SAME not in poison.text:
        assert max(votes.values()) == 1, (poison.name, votes)


@pytest.mark.parametrize("poisons", [SOME, pytest.param(ALL, marks=pytest.mark.slow)], ids=["some", "all"])
async def test_no_text_stops_a_vote_or_a_verifier_or_the_server(poisons):
    now = [*poisons]
    slowest = (0.0, "")
    engine = simulated(lambda ask: said(now[0], ask.seed or 0), max_model_len=1 << 16)
    with (
        start_blocking_portal("asyncio") as portal,  # a thread of its own: its work is no lag of ours
        portal.wrap_async_context_manager(engine) as running,
    ):
        async with serving(SETTINGS.model_copy(update={"engines": (Engine(url=running.url),)})) as served:
            await answered(served, VOTE, now[0])  # the workers are up
            async with lagging() as lag:
                while now:
                    for strategy in (VOTE, BEST):
                        reply, seconds = await answered(served, strategy, now[0])
                        slowest = max(slowest, (seconds, f"{now[0].kind}: {now[0].name}, {strategy['name']}"))
                        if strategy is VOTE:
                            check_votes(reply, now[0])
                    del now[0]
    print(f"longest lag {lag.longest * 1000:.0f} ms, slowest {slowest[0]:.2f} s ({slowest[1]})")
    assert slowest[0] < CALLS * SECONDS + SLACK, slowest
    assert lag.longest < LONGEST_LAG
