"""What users of other people's clients see: an answer, a stream, a strategy with its thinking, an error."""

import re

import pytest

REPLY = "20 + 22 = 42\n\n<answer>42</answer>"
UNKNOWN = "unknown strategy 'no_such_strategy'; there are"
VOTES = re.compile(r"^votes: (\d) for 42$", re.MULTILINE)

OPENAI = ["openai_python.py", "openai_npm.mjs"]
AI_SDK = ["ai_sdk_compatible.mjs", "ai_sdk_openai.mjs"]
CHAT = [*OPENAI, *AI_SDK, "langchain_chat.py", "litellm_sdk.py"]
KEEPS_THINK = [client for client in CHAT if client != "litellm_sdk.py"]
SAMPLES = {"ai_sdk_openai.mjs": 8}  # the default, as it names its strategy with the model; the others ask for 4
READS_REASONING = ["openai_python.py", "openai_npm.mjs", "ai_sdk_compatible.mjs", "litellm_sdk.py"]
ERRORS = {
    "openai_python.py": "openai.BadRequestError",
    "openai_npm.mjs": "BadRequestError",
    "ai_sdk_compatible.mjs": "APICallError",
    "ai_sdk_openai.mjs": "APICallError",
    "langchain_chat.py": "langchain_openai.OpenAIInvalidRequestError",
    "litellm_sdk.py": "litellm.BadRequestError",
}
BREAKS = {
    "openai_python.py": "openai.APIError",
    "openai_npm.mjs": "APIError",
    "ai_sdk_compatible.mjs": "StreamProviderError",
    "ai_sdk_openai.mjs": "StreamProviderError",
    "langchain_chat.py": "openai.APIError",
    "litellm_sdk.py": "litellm.MidStreamFallbackError",
}


def saw(told):
    assert "saw" in told, told
    return told["saw"]


def is_a_vote(content, samples=4):
    """Whether a content is one block of thinking, with the votes of most of these samples, and then the answer."""
    start, thinking, answer = re.split(r"<think>\n|\n</think>\n\n", content)
    return start == "" and is_thinking(thinking, samples) and answer == REPLY


def is_thinking(reasoning, samples=4):
    votes = VOTES.search(reasoning)
    return votes is not None and samples / 2 < int(votes[1]) <= samples and "think>" not in reasoning


@pytest.mark.parametrize("script", CHAT)
def test_a_client_gets_the_answer_as_it_is(seen, script):
    assert saw(seen(script)["answer"])["content"] == REPLY


@pytest.mark.parametrize("script", CHAT)
def test_a_client_gets_a_stream_in_pieces(seen, script):
    pieces = saw(seen(script)["stream"])["pieces"]
    assert len(pieces) > 3
    assert "".join(pieces) == REPLY


@pytest.mark.parametrize("script", KEEPS_THINK)
def test_a_client_that_votes_sees_one_block_of_thinking_before_the_answer(seen, script):
    assert is_a_vote(saw(seen(script)["strategy"])["content"], SAMPLES.get(script, 4))


@pytest.mark.parametrize("script", CHAT)
def test_a_client_that_votes_sees_the_thinking_as_it_happens(seen, script):
    pieces = saw(seen(script)["strategy_stream"])["pieces"]
    assert len(pieces) > 3
    assert is_a_vote("".join(pieces), SAMPLES.get(script, 4))


@pytest.mark.parametrize("script", READS_REASONING)
def test_a_client_with_a_field_for_reasoning_gets_it_filled(seen, script):
    message = saw(seen(script)["fields"])
    assert message["content"] == REPLY
    assert is_thinking(message["reasoning"])


@pytest.mark.parametrize("script", ["ai_sdk_compatible.mjs", "litellm_sdk.py"])
def test_a_client_with_a_field_for_reasoning_gets_it_streamed(seen, script):
    message = saw(seen(script)["fields_stream"])
    assert "".join(message["pieces"]) == REPLY
    assert is_thinking(message["reasoning"])


@pytest.mark.parametrize("script", [*CHAT, "inspect_task.py"])
def test_a_client_hands_a_vote_back_and_asks_on(seen, script):
    assert saw(seen(script)["second_turn"])["content"].strip() == REPLY


@pytest.mark.parametrize("script", [*READS_REASONING, "inspect_task.py"])
def test_a_client_hands_a_field_of_reasoning_back_and_asks_on(seen, script):
    assert saw(seen(script)["second_turn_with_fields"])["content"] == REPLY


@pytest.mark.parametrize("aspect", ["error", "error_stream"])
@pytest.mark.parametrize("script", CHAT)
def test_a_client_raises_its_own_error_with_our_words(seen, script, aspect):
    told = seen(script)[aspect]
    assert told.get("raised") == ERRORS[script]
    assert UNKNOWN in told["says"]


@pytest.mark.parametrize("script", CHAT)
def test_a_client_whose_stream_breaks_half_way_raises_an_error_with_our_words(seen_breaking, script):
    told = seen_breaking(script, "stream")["stream"]
    assert told.get("raised") == BREAKS[script]
    assert "the engine failed" in told["says"]


@pytest.mark.parametrize("script", OPENAI)
def test_a_client_of_openai_is_told_which_parameter_was_wrong(seen, script):
    assert seen(script)["error"]["param"] == "reasoning_strategy"


def test_openai_python_lists_the_models(seen):
    assert "simulated" in saw(seen("openai_python.py")["models"])


def test_openai_python_gets_the_usage_of_a_stream(seen):
    usage = saw(seen("openai_python.py")["strategy_stream"])["usage"]
    assert 0 < usage["completion_tokens_details"]["reasoning_tokens"] < usage["completion_tokens"]


def test_openai_python_accumulates_a_stream_with_its_reasoning(seen):
    message = saw(seen("openai_python.py")["fields_stream"])
    assert message["content"] == REPLY
    assert is_thinking(message["reasoning"])


def test_langchain_counts_the_tokens_of_thinking(seen):
    usage = saw(seen("langchain_chat.py")["strategy"])["usage"]
    assert 0 < usage["output_token_details"]["reasoning"] < usage["output_tokens"]


@pytest.mark.parametrize("aspect", ["middleware", "middleware_stream"])
def test_the_ai_sdk_takes_the_block_of_thinking_apart_with_its_middleware(seen, aspect):
    message = saw(seen("ai_sdk_compatible.mjs")[aspect])
    content = message["content"] if aspect == "middleware" else "".join(message["pieces"])
    assert content.strip() == REPLY
    assert is_thinking(message["reasoning"])


def test_litellm_takes_the_block_of_thinking_for_its_own_field(seen):
    message = saw(seen("litellm_sdk.py")["strategy"])
    assert message["content"].strip() == REPLY
    assert is_thinking(message["reasoning"])


@pytest.mark.parametrize("aspect", ["answer", "stream"])
def test_llm_prints_the_answer(seen, aspect):
    told = saw(seen("llm_cli.py")[aspect])
    assert told["status"] == 0, told
    assert told["output"].strip() == REPLY


@pytest.mark.parametrize("aspect", ["strategy", "strategy_stream"])
def test_llm_prints_the_thinking_of_a_vote_that_is_named_with_the_model(seen, aspect):
    told = saw(seen("llm_cli.py")[aspect])
    assert told["status"] == 0, told
    assert is_a_vote(told["output"].strip(), samples=8)


def test_llm_fails_with_our_words(seen):
    told = saw(seen("llm_cli.py")["error"])
    assert told["status"] == 1
    assert UNKNOWN in told["errors"]


@pytest.mark.parametrize("aspect", ["answer", "stream"])
def test_inspect_scores_the_answers(seen, aspect):
    told = saw(seen("inspect_task.py")[aspect])
    assert told["status"] == "success"
    assert told["content"] == REPLY
    assert told["accuracy"] == 0.5


@pytest.mark.parametrize("aspect", ["strategy", "strategy_stream", "fields"])
def test_inspect_keeps_the_thinking_of_a_vote_apart_from_the_answer(seen, aspect):
    told = saw(seen("inspect_task.py")[aspect])
    assert told["status"] == "success"
    assert told["content"].strip() == REPLY
    assert is_thinking(told["reasoning"])


def test_inspect_ends_a_run_with_our_words(seen):
    told = saw(seen("inspect_task.py")["error"])
    assert told["status"] == "error"
    assert UNKNOWN in told["error"].replace("\\", "")  # it shows the error's repr


def test_lm_eval_scores_the_answers(seen):
    told = saw(seen("lm_eval_sums.py")["answer"])
    assert told["replies"] == [REPLY] * 3
    assert told["exact_match"] == pytest.approx(2 / 3)


def test_lm_eval_scores_the_answers_of_a_vote(seen):
    told = saw(seen("lm_eval_sums.py")["strategy"])
    assert all(map(is_a_vote, told["replies"]))
    assert told["exact_match"] == pytest.approx(2 / 3)


def test_lm_eval_leaves_out_the_thinking_when_it_is_told_where_it_ends(seen):
    told = saw(seen("lm_eval_sums.py")["strategy_without_thinking"])
    assert [reply.strip() for reply in told["replies"]] == [REPLY] * 3


def test_lm_eval_fails_with_our_words(seen):
    told = saw(seen("lm_eval_sums.py")["error"])
    assert told["raised"].startswith("400 Client Error")
    assert UNKNOWN in told["log"]


@pytest.mark.parametrize("script", OPENAI)
def test_a_client_of_openai_gets_responses_with_the_thinking_apart(seen, script):
    plain, vote = saw(seen(script)["responses"]), saw(seen(script)["responses_vote"])
    assert (plain["content"], plain["reasoning"], plain["status"]) == (REPLY, "", "completed")
    assert (vote["content"], vote["status"]) == (REPLY, "completed")
    assert is_thinking(vote["reasoning"])


@pytest.mark.parametrize("script", OPENAI)
def test_a_client_of_openai_gets_responses_as_events_in_order(seen, script):
    plain, vote = saw(seen(script)["responses_stream"]), saw(seen(script)["responses_vote_stream"])
    assert len(plain["pieces"]) > 3
    for told in (plain, vote):
        assert "".join(told["pieces"]) == REPLY
        assert told["in_order"]
        assert told["ends"] == ["response.created", "response.completed"]
    assert is_thinking(vote["reasoning"])


@pytest.mark.parametrize("script", OPENAI)
def test_a_client_of_openai_gets_errors_of_responses_as_its_own(seen, script):
    told = seen(script)["responses_error"]
    assert (told.get("raised"), told["param"]) == (ERRORS[script], "reasoning_strategy")
    assert UNKNOWN in told["says"]


def test_the_ai_sdk_gets_responses_by_its_default_model(seen):
    told = seen("ai_sdk_openai.mjs")
    assert saw(told["responses"])["content"] == REPLY
    assert "".join(saw(told["responses_stream"])["pieces"]) == REPLY
    assert saw(told["responses_vote"])["content"] == REPLY
    assert UNKNOWN in told["responses_error"]["says"]


def test_openai_python_completes_plain_prompts_and_knows_the_request_of_an_error(seen):
    told = seen("openai_python.py")
    assert saw(told["completion"]).startswith("20 + 22")
    assert saw(told["request_id"])
