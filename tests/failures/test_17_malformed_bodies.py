"""Bodies that are no request: each is a 400 that names what is wrong, and none gets as far as an engine."""

import json
import time

import pytest

from server.errors import ApiError
from server.incoming import DEEPEST, depth, parse
from server.schema import ChatRequest
from server.settings import Limits, Settings
from tests.serving import ponder

MESSAGES = [{"role": "user", "content": "hi"}]
TOOL = '"tools":[{"type":"function","function":{"name":"f","parameters":{"a":%s}}}]'


@pytest.fixture
def anyio_backend():
    return "asyncio"


def request(fields):
    return f'{{"model":"m","messages":{json.dumps(MESSAGES)},{fields}}}'.encode()


def refusal(body):
    with pytest.raises(ApiError) as refused:
        parse(body, ChatRequest)
    assert refused.value.status == 400
    return refused.value


@pytest.mark.parametrize("number", ["1e9", "1000000000", '"64"', "true", "0", "-1", "2.5", "NaN", "Infinity", "[1]"])
def test_what_is_no_number_of_choices_is_refused_by_name(number):
    assert refusal(request(f'"n":{number}')).param == "n"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '"inf"', '"0.5"', "true"])
def test_what_is_no_finite_number_is_refused_by_name(number):
    assert refusal(request(f'"temperature":{number}')).param == "temperature"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1E+0400"])
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (TOOL, "tools"),
        ('"chat_template_kwargs":{"a":[%s]}', "chat_template_kwargs"),
        ('"reasoning_strategy":{"name":"x","y":%s}', "reasoning_strategy"),
    ],
)
def test_neither_is_it_taken_where_the_shape_is_not_ours(fields, param, number):
    assert refusal(request(fields % number)).param == param


@pytest.mark.parametrize("number", ["1e99", "1e-999", '"NaN"', '"1e999"', "123456789012345678901234567890"])
def test_numbers_and_words_that_only_look_so_are_taken(number):
    assert parse(request(TOOL % number), ChatRequest).tools


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ('"n":1,"n":1', "n"),
        ('"n":1,"\\u006e":2', "n"),
        ('"model":"x"', "model"),
        ('"reasoning_budget":{"tokens":1,"tokens":2}', "tokens"),
        ('"tools":[{"type":"function","function":{"name":"f","parameters":{"a":[{"b":1,"c":2,"b":3}]}}}]', "b"),
    ],
)
def test_a_name_given_twice_is_refused(fields, name):
    refused = refusal(request(fields))
    assert (refused.param, refused.message) == (name, f"{name} is given twice")


@pytest.mark.parametrize("fields", ['"user":"{\\"n\\":1,\\"n\\":1}"', '"metadata":{"n":"1"},"n":1'])
def test_a_name_that_stands_in_a_string_or_in_two_objects_is_not_given_twice(fields):
    assert parse(request(fields), ChatRequest)


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + request('"n":1'),
        request('"n":1').decode().encode("utf-16"),
        b"\xff\xfe{}",
        rb'{"model":"m","messages":[{"role":"user","content":"\ud800"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"\xed\xa0\x80"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"hi\n"}]}',
        request('"n":1') + b"{}",
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b"",
    ],
    ids=[
        "BOM",
        "UTF-16",
        "bytes",
        "lone surrogate",
        "encoded surrogate",
        "control",
        "two",
        "lists",
        "objects",
        "empty",
    ],
)
def test_what_is_no_json_is_refused(body):
    assert refusal(body).code == "invalid_json"


def nested(depth):
    return request(TOOL % ("[" * (depth - 5) + "]" * (depth - 5)))


def test_a_body_may_be_nested_so_deep_and_no_deeper():
    assert parse(nested(DEEPEST), ChatRequest).tools
    assert "nested" in refusal(nested(DEEPEST + 1)).message


def test_brackets_in_strings_do_not_nest():
    text = json.dumps('[{"' * 1000)
    assert parse(request(f'"user":{text}'), ChatRequest)


@pytest.mark.parametrize(
    "body",
    [b"[" * (8 << 20), b"[]" * (4 << 20), (b"[" * 64 + b"]" * 64) * (1 << 16), b"[" * 65 + b'\\"' * (4 << 20)],
    ids=["lists", "pairs", "deep", "quotes"],
)
def test_the_depth_of_a_huge_body_takes_little_time(body):
    start = time.process_time()
    depth(body)
    assert time.process_time() - start < 10


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_more_messages_than_allowed_are_refused(path):
    async with ponder(settings=Settings(limits=Limits(messages=3))) as served:
        name = "messages" if "chat" in path else "input"
        reply = await served.client.post(path, json={"model": "simulated", name: MESSAGES * 4})
        fine = await served.client.post(path, json={"model": "simulated", name: MESSAGES * 3})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == name
    assert fine.status_code == 200
