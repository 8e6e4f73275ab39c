"""Whatever is sent, it becomes a plan or an error that names what is wrong."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import ApiError
from server.fields import FIELDS
from server.incoming import parse
from server.resolve import resolve
from server.schema import ChatRequest
from server.settings import Settings
from strategies.registry import Registry

SETTINGS, REGISTRY, MODELS = Settings(), Registry(), {"m": None, "m:x": None}
VALID = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
words = st.sampled_from(
    ["name", "n", "verifier", "type", "single", "beam_search", "best_of_n", "tokens", "role", "user", "text"]
)
anything = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
fields = st.dictionaries(st.sampled_from(list(FIELDS)) | st.text(max_size=8), anything, max_size=6)


def understood(body):
    """What becomes of a body: the plan, or the error that the caller is told."""
    try:
        return resolve(parse(body, ChatRequest), SETTINGS, REGISTRY, MODELS)
    except ApiError as error:
        refusal = error
    assert refusal.status in (400, 404)
    assert set(refusal.body()["error"]) == {"message", "type", "param", "code"}
    return refusal


@given(fields)
@settings(max_examples=600, deadline=None)
def test_any_fields_give_a_plan_or_a_clear_refusal(given_fields):
    understood(json.dumps(VALID | given_fields).encode())


@given(st.sampled_from(list(FIELDS)), anything)
@settings(max_examples=600, deadline=None)
def test_one_odd_field_is_refused_by_its_own_name(name, value):
    result = understood(json.dumps(VALID | {name: value}).encode())
    if isinstance(result, ApiError) and result.code != "model_not_found":
        assert result.param is not None
        related = {"reasoning_effort": "reasoning_strategy", "tools": "reasoning_strategy"}
        assert result.param.split(".")[0] in {name, related.get(name)}


@given(st.binary(max_size=200))
def test_any_bytes_give_a_plan_or_a_clear_refusal(data):
    understood(data)


@given(st.text(alphabet=st.characters(), max_size=50))
def test_any_text_can_be_asked(text):
    body = VALID | {"messages": [{"role": "user", "content": text}]}
    result = understood(json.dumps(body).encode("utf-8", "surrogatepass"))
    assert isinstance(result, ApiError) or result.roots[0].prompt.messages[0]["content"].startswith(text)
