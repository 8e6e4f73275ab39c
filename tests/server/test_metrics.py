"""What `/metrics` counts: every token and every sample once, as what it was for; names that are bounded."""

import time
from functools import partial

import anyio
import pytest

from server.measured import Beginning
from server.metrics import Metrics
from server.pulse import WINDOW, Lag
from server.samples import Savings
from server.series import SharedBound
from server.settings import Admission, Settings
from strategies.events import Closed, Note, Opened, Token
from strategies.types import Candidate, Prompt, Step
from tests.metrics import page, series, total
from tests.serving import body, hung_up, ponder, until
from tests.tenants import ALICE, BOB, bearing, settings

pytestmark = pytest.mark.anyio
SC = {"name": "self_consistency", "n": 4}
SPENDING = [
    "single",
    SC,
    {"name": "best_of_n", "n": 3, "verifier": "p_true"},
    {"name": "beam_search", "beams": 2, "width": 2, "depth": 4, "step_tokens": 8, "verifier": "p_true"},
    {"name": "deepconf", "n": 8, "warmup": 4, "keep": 0.5},
    {"name": "short_m", "n": 4, "m": 1, "min_tokens": 1},
    {"name": "early_exit", "every": 8, "stable": 2},
    {"name": "parallel_then_revise", "verifier": "arithmetic"},
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


def answering(ask):
    """Some words, more or fewer, and one of four answers."""
    return " word" * ask.rng.randint(15, 40) + f"\n\n<answer>{ask.rng.randrange(4)}</answer>"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("strategy", SPENDING, ids=lambda one: one if isinstance(one, str) else one["name"])
async def test_tokens_by_purpose_sum_to_the_bill_and_samples_to_those_started(strategy, stream):
    request = {"reasoning_strategy": strategy, "return_trace": True, "seed": 1, "max_tokens": 100}
    async with ponder(answering) as served:
        if stream:
            trace = next(c for c in reversed(await served.stream(**request)) if "ponder" in c)["ponder"]
        else:
            trace = (await served.chat(**request)).json()["ponder"]
        generated, told = served.engine.generated, await page(served)
    spent, name = trace["tokens"], strategy if isinstance(strategy, str) else strategy["name"]
    run = {"strategy": name, "model": "simulated"}
    billed = spent["answer"] + spent["reasoning"] + spent["verifier"]
    assert total(told, "ponder_tokens_total", **run) == billed
    assert billed <= generated
    assert total(told, "ponder_tokens_total", **run, purpose="answer") == spent["answer"]
    assert total(told, "ponder_tokens_total", **run, purpose="verifier") == spent["verifier"]
    assert total(told, "ponder_samples_total", **run) == spent["samples"]
    assert total(told, "ponder_samples_total", **run, outcome="used") >= 1
    assert total(told, "ponder_prompt_tokens_total", model="simulated") == spent["prompt"]
    assert total(told, "ponder_key_tokens_total", key="everyone", purpose="completion") == billed
    assert total(told, "ponder_requests_total", **run, outcome="ok") == 1
    for moment in ("request_duration", "time_to_first_byte", "time_to_first_answer_token"):
        assert total(told, f"ponder_{moment}_seconds_count", **run) == 1, moment
    assert total(told, "ponder_requests_running") == 0


async def test_what_a_model_thinks_is_no_answer_and_the_rest_of_the_samples_is_discarded():
    async with ponder(lambda ask: "<think> a b c </think> it is \\boxed{5}") as served:
        reply = (await served.chat(reasoning_strategy={**SC, "early_stop": "none"})).json()
        told = await page(served)
    each = reply["usage"]["completion_tokens"] / 4
    purposes = {p: total(told, "ponder_tokens_total", purpose=p) for p in ("answer", "thinking", "discarded")}
    assert purposes["discarded"] == 3 * each
    assert purposes["answer"] + purposes["thinking"] == each
    assert min(purposes.values()) > 0
    assert total(told, "ponder_vote_agreement_ratio_sum") == 1.0


@pytest.mark.parametrize("strategy", [SC, {"name": "best_of_n", "n": 3, "verifier": "arithmetic"}])
async def test_a_client_that_hangs_up_has_its_tokens_discarded_and_its_samples_aborted(strategy):
    async with ponder(lambda ask: " word" * 400, delay=0.005) as served:
        await hung_up(served, "/v1/chat/completions", body(served, "hi", reasoning_strategy=strategy))
        await until(lambda: served.app.state.metrics.requests.at(strategy["name"], "simulated", "gone")._value.get())
        told = await page(served)
    assert total(told, "ponder_samples_total", outcome="aborted") == total(told, "ponder_samples_total") > 0
    completion = total(told, "ponder_key_tokens_total", purpose="completion")
    assert total(told, "ponder_tokens_total", purpose="discarded") == total(told, "ponder_tokens_total") == completion
    assert total(told, "ponder_key_requests_total", key="everyone", outcome="gone") == 1
    assert total(told, "ponder_upstream_requests_total", engine="0", outcome="aborted") > 0
    assert total(told, "ponder_upstream_requests_running", engine="0") == 0


async def test_a_vote_that_is_settled_stops_the_others_and_saves_their_tokens():
    turns = iter(range(1000))

    def slow_last(ask):
        return " word" * 300 if next(turns) == 3 else "\\boxed{5}"

    async with ponder(slow_last, delay=0.002) as served:
        await served.chat(reasoning_strategy={"name": "self_consistency", "n": 4})
        await served.chat(reasoning_strategy={"name": "self_consistency", "n": 40, "early_stop": "esc", "window": 3})
        told = await page(served)
    fates = {fate: total(told, "ponder_samples_total", outcome=fate) for fate in ("used", "early_stopped", "aborted")}
    assert fates["early_stopped"] >= 1
    assert fates["aborted"] == 0
    assert total(told, "ponder_tokens_saved_total") > 0


async def test_lost_and_pruned_samples_are_told_apart_from_those_that_were_used():
    rule = {"name": "beam_search", "beams": 1, "width": 2, "depth": 3, "step_tokens": 8, "verifier": "p_true"}
    async with ponder(answering, fail_every=5, fault="stream") as served:
        for seed in range(4):
            await served.chat(reasoning_strategy=rule, seed=seed, reasoning_quorum=0.0)
        told = await page(served)
    assert total(told, "ponder_upstream_requests_total", outcome="error") > 0
    assert total(told, "ponder_upstream_errors_total", engine="0") == total(
        told, "ponder_upstream_requests_total", outcome="error"
    )
    assert total(told, "ponder_verifier_score_count", verifier="p_true") > 0
    assert total(told, "ponder_verifier_duration_seconds_count", verifier="p_true") > 0


async def test_the_limit_that_cut_a_request_is_told_and_how_much_was_used():
    async with ponder(lambda ask: " word" * 200) as served:
        await served.chat(reasoning_strategy="single", reasoning_budget={"tokens": 32})
        told = await page(served)
    assert total(told, "ponder_requests_total", outcome="cut") == 1
    assert total(told, "ponder_budget_cuts_total", strategy="single", limit="tokens") == 1
    assert total(told, "ponder_budget_used_ratio_sum", strategy="single", limit="tokens") == 1.0
    assert 0 < total(told, "ponder_budget_used_ratio_sum", strategy="single", limit="seconds") < 0.5


async def test_the_queue_is_told_while_it_is_there_and_what_was_waited():
    narrow = Settings(admission=Admission(samples=1))
    async with ponder(lambda ask: " word" * 40, settings=narrow, delay=0.005) as served:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(partial(served.chat, reasoning_strategy="single", max_tokens=40))
            await until(lambda: served.engine.running == 1, 10)
            await until(lambda: served.app.state.gate.line.length == 2, 10)
            await anyio.sleep(0.02)
            told = await page(served)
        after = await page(served)
    assert total(told, "ponder_queue_length") == 2
    assert total(told, "ponder_queue_oldest_seconds") >= 0.02
    assert total(told, "ponder_reserved_samples") == 1
    assert total(told, "ponder_reserved_tokens") == 40
    assert total(told, "ponder_queue_seconds_count") == 1
    for gauge in ("queue_length", "queue_oldest_seconds", "reserved_samples", "reserved_tokens"):
        assert total(after, f"ponder_{gauge}") == 0, gauge
    assert total(after, "ponder_queue_seconds_count") == 3


async def test_requests_and_tokens_are_told_by_the_key_that_asked():
    async with ponder(settings=settings(alice={}, bob={"metrics": True})) as served:
        for key in (ALICE, ALICE, BOB):
            await served.client.post("/v1/chat/completions", json=body(served, "hi"), headers=bearing(key))
        told = (await served.client.get("/metrics", headers=bearing(BOB))).text
    assert total(told, "ponder_key_requests_total", key="alice", outcome="ok") == 2
    assert total(told, "ponder_key_requests_total", key="bob") == 1
    spent = {key: total(told, "ponder_key_tokens_total", key=key, purpose="completion") for key in ("alice", "bob")}
    assert sum(spent.values()) == total(told, "ponder_tokens_total")
    assert min(spent.values()) > 0


async def test_a_reply_that_is_shared_has_one_first_byte():
    async with ponder() as served:
        for _ in range(2):
            await served.client.post(
                "/v1/chat/completions", json=body(served, "hi"), headers={"idempotency-key": "the-same"}
            )
        told = await page(served)
    assert total(told, "ponder_requests_total") == 1
    assert total(told, "ponder_time_to_first_byte_seconds_count") == 1


async def test_servers_in_one_process_count_for_themselves():
    async with ponder() as one, ponder() as other:
        await one.chat()
        assert total(await page(one), "ponder_requests_total") == 1
        assert total(await page(other), "ponder_requests_total") == 0


def test_past_the_bound_names_count_as_other_and_no_count_is_lost():
    metrics = Metrics(500)
    for at in range(1000):
        metrics.requests.at(f"strategy-{at}", "m", "ok").inc()
        metrics.seconds.at(f"strategy-{at}", "m").observe(1)
        metrics.budget.at(f"strategy-{at}", "tokens").observe(0.5)
    text = metrics.text().decode()
    assert 200 < len(series(text)) <= 500
    assert total(text, "ponder_requests_total") == total(text, "ponder_request_duration_seconds_count") == 1000
    assert total(text, "ponder_requests_total", strategy="other", outcome="ok") > 800
    assert total(text, "ponder_dropped_series_total") > 2400


def test_all_that_may_be_counted_as_other_is_within_the_bound():
    metrics = Metrics(500)
    for at in range(300):
        for family in metrics.families:
            choices = [label.partition("=")[2].split("|") for label in family.labels]
            for turn in range(9):
                family.at(*(one[turn % len(one)] or f"junk-{at}" for one in choices))
    assert len(series(metrics.text().decode())) <= 500


def test_workers_share_a_bound_and_know_the_names_of_the_others(tmp_path):
    dropped = []
    one, other = (SharedBound(25, lambda: dropped.append(1), tmp_path / "names") for _ in range(2))
    assert one.take("a", 10)
    assert other.take("b", 10)
    assert other.take("a", 10)
    assert not one.take("c", 10)
    assert not other.take("d", 6)
    assert not one.take("e", 5), "it has found no room before"
    assert one.take("b", 10)
    assert len(dropped) == 3


@pytest.mark.parametrize(
    ("thinks", "said", "begins"),
    [
        (False, ["4"], 0),
        (None, ["4"], 0),
        (None, ["<", "thi", "nk>", "so", "</thi", "nk>", "\n\n", "4"], 7),
        (None, ["\n", "<", "b>"], 2),
        (True, ["so", "</think>", "4"], 2),
        (True, ["so </think> 4"], 0),
        (True, ["so", "and so"], None),
    ],
)
def test_an_answer_begins_after_what_the_model_thinks(thinks, said, begins):
    beginning = Beginning()
    beginning.opened(Opened("0.0", "0", thinks))
    found = [at for at, text in enumerate(said) if beginning.found(Token("0.0", text, answer=True))]
    assert found[:1] == ([] if begins is None else [begins])


def test_savings_are_what_stopped_and_undrawn_samples_lack_of_the_mean_one():
    def path(tokens, finish):
        return Candidate(Prompt(()), "0.0", (Step("", tokens=tokens),), finish)

    savings = Savings(most=10)
    assert savings.tokens() == 0
    savings.closed(Closed(path(30, "stop")))
    savings.closed(Closed(path(50, "stop")))
    savings.closed(Closed(path(15, "cut"), early=True))
    savings.closed(Closed(path(1, "cut")))
    savings.noted(Note("0", "settled", facts={"saved": 7}), started=4)
    assert savings.tokens() == 25 + 6 * 40


def test_the_longest_lag_is_told_for_at_least_one_window_and_not_for_ever():
    times = iter([0.0, 0.0, 1.0, WINDOW + 1, WINDOW + 1, 2 * WINDOW, 2 * WINDOW + 2, 2 * WINDOW + 2])
    lag, told = Lag(lambda: next(times)), []
    for late in (0.5, 0.1, 0.1, 0.1, 0.1):
        lag.noticed(late)
        told.append(lag.longest)
    assert told == [0.5, 0.5, 0.5, 0.5, 0.1]


async def test_a_loop_that_was_blocked_shows():
    async with ponder() as served:
        await anyio.sleep(0.15)
        time.sleep(0.3)  # noqa: ASYNC251
        await anyio.sleep(0.05)
        assert total(await page(served), "ponder_event_loop_lag_seconds") >= 0.15
