"""What Ponder's backend depends on, asked alike of the simulated engine and of a real vLLM, over plain HTTP."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

ROOT = Path(__file__).parents[2]
MESSAGES = [{"role": "user", "content": "What is 3 + 4? Think step by step."}]
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"


@pytest.fixture(scope="session")
def simulated_engine():
    command = [sys.executable, "-m", "benchmarks.engine", "--port", "0", "--delay", "0.002"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[-1]
        yield SimpleNamespace(url=url, model="simulated")
        process.terminate()


@pytest.fixture(params=["simulated", pytest.param("real", marks=pytest.mark.real)])
def engine(request):
    running = request.getfixturevalue(f"{request.param}_engine")
    with httpx.Client(base_url=running.url, timeout=120) as client:
        yield Asked(client, running.model)


class Asked:
    """An engine and the ways to ask it; a request names the model and samples 12 tokens unless it says otherwise."""

    def __init__(self, client, model):
        self.client, self.model = client, model

    def body(self, path, options):
        start = {"messages": MESSAGES} if path == CHAT else {"prompt": "Count: one two three four five"}
        return {"model": self.model, **start, "max_tokens": 12, "return_token_ids": True, **options}

    def ask(self, path=COMPLETIONS, **options):
        reply = self.client.post(path, json=self.body(path, options))
        assert reply.status_code == 200, reply.text
        return reply.json()

    def choices(self, path=COMPLETIONS, **options):
        return self.ask(path, **options)["choices"]

    def stream(self, path=COMPLETIONS, **options):
        with self.client.stream("POST", path, json=self.body(path, {**options, "stream": True})) as reply:
            assert reply.status_code == 200
            assert reply.headers["content-type"].startswith("text/event-stream")
            events = [line.removeprefix("data: ") for line in reply.iter_lines() if line]
        assert events.pop() == "[DONE]"
        return [json.loads(event) for event in events]

    def refused(self, path=COMPLETIONS, **options):
        reply = self.client.post(path, json=self.body(path, options))
        assert reply.headers["content-type"].startswith("application/json")
        error = reply.json()["error"]
        assert error["code"] == reply.status_code
        assert set(error) == {"message", "type", "param", "code"}
        return error

    def prompt(self, text):
        return self.client.post("/tokenize", json={"model": self.model, "prompt": text}).json()["tokens"]

    def template(self, messages=MESSAGES, **options):
        return self.client.post("/tokenize", json={"model": self.model, "messages": messages, **options}).json()

    def text(self, ids):
        return self.client.post("/detokenize", json={"model": self.model, "tokens": ids}).json()["prompt"]

    def running(self):
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{"))

    def greedy(self, tokens=24):
        """A long deterministic sample of plain ascii: the text, and the text of each token."""
        (choice,) = self.choices(temperature=0, max_tokens=tokens, ignore_eos=True, logprobs=0)
        return choice["text"], choice["logprobs"]["tokens"]


def gather(chunks):
    """The choices a stream adds up to, by index: text, token ids, how it ended, and the number of its chunks."""
    whole = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            said = choice["text"] if "text" in choice else choice["delta"].get("content") or ""
            one = whole.setdefault(
                choice["index"], SimpleNamespace(text="", ids=[], finish=None, reason=None, chunks=0)
            )
            assert one.finish is None, "nothing comes after the finish of a choice"
            one.text += said
            one.ids += choice.get("token_ids") or []
            one.finish, one.reason = choice["finish_reason"], choice.get("stop_reason")
            one.chunks += 1
    return whole


def same(choice, streamed):
    """Whether an unstreamed choice and a gathered one are the same sample."""
    said = choice["text"] if "text" in choice else choice["message"]["content"]
    got = (streamed.text, streamed.ids, streamed.finish, streamed.reason)
    return (said, choice["token_ids"], choice["finish_reason"], choice["stop_reason"]) == got


# Shapes


def test_a_completion_chunk_holds_one_choice_with_text_and_token_ids(engine):
    first, *others = engine.stream(n=2, temperature=0.9, seed=1)
    for chunk in (first, *others):
        assert chunk["object"] == "text_completion"
        assert (chunk["id"], chunk["created"], chunk["model"]) == (first["id"], first["created"], engine.model)
        (choice,) = chunk["choices"]
        shape = {"index", "text", "logprobs", "finish_reason", "stop_reason", "prompt_token_ids", "token_ids"}
        assert set(choice) == shape
        assert "usage" not in chunk


def test_the_first_chunk_of_a_choice_brings_the_prompts_token_ids(engine):
    prompt = engine.prompt("one two three")
    seen = set()
    for chunk in engine.stream(prompt=prompt, n=3, temperature=0.9):
        (choice,) = chunk["choices"]
        assert choice["prompt_token_ids"] == (None if choice["index"] in seen else prompt)
        seen.add(choice["index"])
    assert seen == {0, 1, 2}


def test_token_ids_come_only_when_asked_for(engine):
    for chunk in engine.stream(return_token_ids=False):
        assert chunk["choices"][0]["token_ids"] is None
    assert engine.choices(return_token_ids=False)[0]["token_ids"] is None


def test_usage_comes_once_before_the_end(engine):
    *chunks, last = engine.stream(n=2, temperature=0.9, stream_options={"include_usage": True})
    assert last["choices"] == []
    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)
    usage = last["usage"]
    assert usage["completion_tokens"] == sum(len(choice.ids) for choice in gather(chunks).values())
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] >= 0


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
def test_a_streamed_reply_equals_the_unstreamed_one(engine, path):
    whole = engine.choices(path, n=3, seed=11, temperature=0.8)
    streamed = gather(engine.stream(path, n=3, seed=11, temperature=0.8))
    assert len(streamed) == len(whole) == 3
    assert all(same(choice, streamed[choice["index"]]) for choice in whole)


def test_each_prompt_of_a_list_gets_its_own_choices(engine):
    prompts = [engine.prompt("one two three four"), engine.prompt("yes and no")]
    choices = engine.choices(prompt=prompts, n=2, temperature=0.9, seed=3)
    assert [choice["index"] for choice in choices] == [0, 1, 2, 3]
    assert [choice["prompt_token_ids"] for choice in choices] == [prompts[0]] * 2 + [prompts[1]] * 2


def test_a_text_prompt_is_tokenised_as_tokenize_says(engine):
    assert engine.choices(prompt="yes and no")[0]["prompt_token_ids"] == engine.prompt("yes and no")


def test_chat_opens_each_choice_with_its_role_and_the_prompts_ids(engine):
    chunks = engine.stream(CHAT, n=2, temperature=0.9, seed=5)
    prompt, opened = engine.template()["tokens"], set()
    for chunk in chunks:
        assert chunk["object"] == "chat.completion.chunk"
        (choice,) = chunk["choices"]
        if choice["index"] not in opened:
            assert choice["delta"] == {"role": "assistant", "content": ""}
            assert chunk["prompt_token_ids"] == prompt
            opened.add(choice["index"])
        else:
            assert set(choice["delta"]) == {"content"}
            assert choice["token_ids"]
    assert opened == {0, 1}


def test_a_chat_message_has_content_and_a_reasoning_field(engine):
    reply = engine.ask(CHAT)
    message = reply["choices"][0]["message"]
    assert message["role"] == "assistant"
    assert message["content"]
    assert message["reasoning"] is None
    assert reply["prompt_token_ids"] == engine.template()["tokens"]


def test_stream_interval_coarsens_the_chunks_and_changes_no_token(engine):
    options = {"temperature": 0.8, "seed": 2, "max_tokens": 17, "ignore_eos": True}
    fine, coarse = (gather(engine.stream(**options, stream_interval=every))[0] for every in (1, 8))
    assert coarse.chunks == 3
    assert fine.chunks > coarse.chunks
    assert (fine.text, fine.ids) == (coarse.text, coarse.ids)


# Tokens, groups and seeds


def test_token_ids_decode_to_the_text(engine):
    for choice in engine.choices(n=3, seed=4, temperature=0.9, ignore_eos=True, prompt="one two three four five"):
        assert engine.text(choice["token_ids"]).startswith(choice["text"])
        assert len(choice["token_ids"]) == 12


def test_a_group_gives_what_single_requests_with_the_next_seeds_give(engine):
    options = {"temperature": 0.9, "max_tokens": 16}
    group = engine.choices(n=3, seed=20, **options)
    single = [engine.choices(seed=20 + child, **options)[0] for child in range(3)]
    assert [choice["token_ids"] for choice in group] == [choice["token_ids"] for choice in single]
    assert [choice["text"] for choice in group] == [choice["text"] for choice in single]


def test_without_a_seed_samples_differ(engine):
    ids = {tuple(engine.choices(CHAT, temperature=1, max_tokens=20)[0]["token_ids"]) for _ in range(12)}
    assert len(ids) > 1


def test_temperature_zero_is_deterministic(engine):
    assert engine.choices(temperature=0)[0]["token_ids"] == engine.choices(temperature=0)[0]["token_ids"]


def test_an_ended_sample_has_the_end_token_in_its_ids_but_not_in_its_text(engine):
    (choice,) = engine.choices(CHAT, structured_outputs={"choice": ["no"]})
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", None)
    assert choice["message"]["content"] == "no"
    assert engine.text(choice["token_ids"][:-1]) == "no"
    assert engine.text(choice["token_ids"]) != "no"


def test_a_sample_at_its_limit_ends_by_length(engine):
    (choice,) = engine.choices(max_tokens=5, ignore_eos=True)
    assert (choice["finish_reason"], choice["stop_reason"], len(choice["token_ids"])) == ("length", None, 5)


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
def test_a_limit_beyond_the_room_that_is_left_is_clamped_and_one_beyond_the_model_refused(engine, path):
    most = engine.client.get("/v1/models").json()["data"][0]["max_model_len"]
    (choice,) = engine.choices(path, max_tokens=most, structured_outputs={"choice": ["no"]})
    assert choice["finish_reason"] == "stop"
    assert engine.refused(path, max_tokens=most + 1)["param"] == "max_tokens"


def test_the_end_waits_for_min_tokens(engine):
    (choice,) = engine.choices(CHAT, max_tokens=40, min_tokens=30)
    assert len(choice["token_ids"]) >= 30


# Stops


def test_a_stop_string_ends_the_sample_and_is_named(engine):
    text, tokens = engine.greedy()
    stop = tokens[6] + tokens[7]
    cut = text[: text.index(stop)]
    (without,) = engine.choices(temperature=0, max_tokens=24, ignore_eos=True, stop=[stop])
    (included,) = engine.choices(
        temperature=0, max_tokens=24, ignore_eos=True, stop=[stop], include_stop_str_in_output=True
    )
    assert (without["text"], included["text"]) == (cut, cut + stop)
    assert without["token_ids"] == included["token_ids"]
    for choice in (without, included):
        assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", stop)


@pytest.mark.parametrize("included", [False, True])
def test_a_stop_that_ends_inside_a_token_cuts_the_text_and_keeps_the_token(engine, included):
    text, tokens = engine.greedy()
    place, stop = _inside(text, tokens)
    (choice,) = engine.choices(
        temperature=0, max_tokens=24, ignore_eos=True, stop=[stop], include_stop_str_in_output=included
    )
    before = text[: text.index(stop)]
    assert choice["text"] == (before + stop if included else before)
    assert len(choice["token_ids"]) == place + 1
    assert engine.text(choice["token_ids"]) == "".join(tokens[: place + 1]) != choice["text"]


def _inside(text, tokens):
    """A token of two characters or more, and its first ones, which occur in the text there for the first time."""
    for place, token in enumerate(tokens):
        start = len("".join(tokens[:place]))
        if place and len(token) > 1 and text.find(token[:-1]) == start:
            return place, token[:-1]
    raise AssertionError(f"no such token in {text!r}")


def test_text_that_may_be_a_stop_is_held_back_while_ids_go_on(engine):
    text, tokens = engine.greedy()
    stop = "never said, and long"
    chunks = engine.stream(temperature=0, max_tokens=24, ignore_eos=True, stop=[stop])
    assert chunks[0]["choices"][0]["text"] == ""
    assert chunks[0]["choices"][0]["token_ids"]
    assert gather(chunks)[0].text == text
    chunks = engine.stream(temperature=0, max_tokens=24, ignore_eos=True, stop=[stop], include_stop_str_in_output=True)
    assert chunks[0]["choices"][0]["text"] == tokens[0]


# Prefixes


def test_tokenize_of_messages_is_the_prompt_chat_reports(engine):
    rendered = engine.template()
    assert rendered["tokens"] == engine.ask(CHAT)["prompt_token_ids"]
    assert rendered["count"] == len(rendered["tokens"])
    assert rendered["max_model_len"] == engine.client.get("/v1/models").json()["data"][0]["max_model_len"]


def test_a_final_message_can_be_continued(engine):
    said = [*MESSAGES, {"role": "assistant", "content": "We add three and"}]
    options = {"add_generation_prompt": False, "continue_final_message": True}
    rendered = engine.template(said, **options)["tokens"]
    assert rendered == engine.ask(CHAT, messages=said, **options)["prompt_token_ids"]
    assert engine.text(rendered).endswith("We add three and")
    assert rendered[: len(engine.template()["tokens"])] == engine.template()["tokens"]


def test_a_prompt_and_prefix_of_ids_give_what_one_longer_sample_gives(engine):
    prompt = engine.template()["tokens"]
    (whole,) = engine.choices(prompt=prompt, temperature=0, max_tokens=12, min_tokens=12)
    (rest,) = engine.choices(prompt=prompt + whole["token_ids"][:5], temperature=0, max_tokens=7, min_tokens=7)
    assert rest["prompt_token_ids"] == prompt + whole["token_ids"][:5]
    assert len(rest["token_ids"]) == 7


def test_a_repeated_prompt_is_found_in_the_cache_in_whole_blocks(engine):
    prompt = engine.prompt(f"one two three {time.time_ns()} " * 8)

    def cached(ids):
        return engine.ask(prompt=ids, max_tokens=1)["usage"]["prompt_tokens_details"]["cached_tokens"]

    assert cached(prompt) == 0
    again = cached(prompt)
    assert 0 < again < len(prompt)
    assert cached(prompt[:again]) < again
    assert cached(prompt[: again + 1]) == again


def test_what_was_generated_is_found_in_the_cache_too(engine):
    prompt = engine.prompt(f"one two three {time.time_ns()} " * 6)
    (choice,) = engine.choices(prompt=prompt, max_tokens=40, ignore_eos=True)
    usage = engine.ask(prompt=[*prompt, *choice["token_ids"]], max_tokens=1)["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > len(prompt)


# Log-probabilities and choices


def test_completion_logprobs_list_each_token_with_the_likeliest_k(engine):
    (choice,) = engine.choices(logprobs=3, temperature=0.8, seed=1)
    logprobs = choice["logprobs"]
    assert set(logprobs) == {"text_offset", "token_logprobs", "tokens", "top_logprobs"}
    assert {len(column) for column in logprobs.values()} == {len(choice["token_ids"])}
    for token, logprob, top in zip(
        logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
    ):
        assert top[token] == logprob <= 0
        assert 1 <= len(top) <= 4


def test_streamed_logprobs_are_the_unstreamed_ones(engine):
    options = {"logprobs": 2, "temperature": 0.8, "seed": 1}
    whole = engine.choices(**options)[0]["logprobs"]
    pieces = [chunk["choices"][0]["logprobs"] for chunk in engine.stream(**options)]
    for column in ("tokens", "text_offset"):
        assert [entry for piece in pieces for entry in piece[column]] == whole[column]


def test_chat_logprobs_list_tokens_with_their_bytes(engine):
    (choice,) = engine.choices(CHAT, logprobs=True, top_logprobs=2, max_tokens=4)
    entries = choice["logprobs"]["content"]
    assert len(entries) == len(choice["token_ids"])
    for entry in entries:
        assert set(entry) == {"token", "logprob", "bytes", "top_logprobs"}
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert len(entry["top_logprobs"]) == 2


def test_logprobs_of_given_tokens_can_be_asked_for(engine):
    wanted = [engine.prompt(text)[-1] for text in (" yes", " no")]
    (choice,) = engine.choices(logprobs=0, logprob_token_ids=wanted, max_tokens=1)
    assert {engine.text([token]) for token in wanted} <= set(choice["logprobs"]["top_logprobs"][0])


def test_a_reply_can_be_limited_to_choices(engine):
    choices = engine.choices(structured_outputs={"choice": ["yes", "no"]}, n=4, temperature=1)
    assert {choice["text"] for choice in choices} <= {"yes", "no"}
    assert {choice["finish_reason"] for choice in choices} == {"stop"}


def test_the_first_tokens_of_choices_share_the_probability(engine):
    (choice,) = engine.choices(structured_outputs={"choice": ["yes", "no"]}, max_tokens=1, logprobs=20)
    top = choice["logprobs"]["top_logprobs"][0]
    shares = {token: 2.718281828**logprob for token, logprob in top.items()}
    allowed = sum(share for token, share in shares.items() if "yes".startswith(token) or "no".startswith(token))
    assert allowed == pytest.approx(1, abs=0.01)


# Errors


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
@pytest.mark.parametrize(
    ("options", "code", "param"),
    [
        ({"n": 2, "temperature": 0}, 400, None),
        ({"n": 2, "temperature": 0, "stream": True}, 400, None),
        ({"n": 0}, 400, None),
        ({"n": 10**9}, 400, None),
        ({"stop": ["a", "b", "c", "d", "e"]}, 400, "body.stop"),
        ({"stop": [""]}, 400, None),
        ({"model": "no such model"}, 404, "model"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"temperature": -1}, 400, "temperature"),
        ({"temperature": "warm"}, 400, "body.temperature"),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options"),
        ({"structured_outputs": {"choice": []}}, 400, None),
    ],
)
def test_what_cannot_be_done_is_refused(engine, path, options, code, param):
    error = engine.refused(path, **options)
    assert (error["code"], error["param"]) == (code, param)


def test_a_prompt_that_is_too_long_is_refused(engine):
    room = engine.client.get("/v1/models").json()["data"][0]["max_model_len"]
    prompt = (engine.prompt("one two") * room)[:room]
    assert engine.refused(prompt=[*prompt, prompt[0]])["param"] == "input_tokens"
    assert engine.refused(prompt=prompt)["param"] == "max_tokens"
    assert engine.refused(CHAT, messages=[{"role": "user", "content": "one two " * room}])["param"] == "input_tokens"


def test_prompts_that_are_none_are_refused(engine):
    assert engine.refused(prompt="")["code"] == 400
    assert engine.refused(prompt=[])["code"] == 400
    assert engine.refused(prompt=[10**7])["code"] == 400
    assert engine.refused(CHAT, messages=[])["code"] == 400


def test_logprobs_end_at_twenty(engine):
    assert engine.refused(logprobs=21)["param"] == "logprobs"
    assert engine.refused(CHAT, top_logprobs=2)["param"] == "top_logprobs"


def test_paths_that_do_not_exist_are_told_apart_from_wrong_methods(engine):
    assert engine.client.get("/nothing").status_code == 404
    assert engine.client.get(COMPLETIONS).status_code == 405
    assert engine.client.get("/health").status_code == 200
    assert "version" in engine.client.get("/version").json()


# Leaving


@pytest.mark.parametrize("streamed", [True, False])
def test_closing_the_connection_aborts_the_generation(engine, streamed):
    body = engine.body(COMPLETIONS, {"n": 3, "max_tokens": 3000, "ignore_eos": True, "stream": streamed})
    before = engine.running()
    with httpx.Client(base_url=engine.client.base_url) as leaving:
        if streamed:
            with leaving.stream("POST", COMPLETIONS, json=body) as reply:
                lines = reply.iter_lines()
                assert next(lines)
                assert eventually(lambda: engine.running() == before + 3, seconds=10)
        else:
            with pytest.raises(httpx.ReadTimeout):
                leaving.post(COMPLETIONS, json=body, timeout=0.3)
    assert eventually(lambda: engine.running() <= before, seconds=1)


def eventually(condition, seconds):
    """Whether a condition comes true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
