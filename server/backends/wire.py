"""What vLLM sends, as typed structs, and what of it means what to us.

What comes with every event has `gc=False`: it can be part of no cycle, so the collector need not look at it.
"""

from functools import partial
from typing import Any, TypeVar

import msgspec

from strategies.protocols import BackendError
from strategies.types import NONE, Logprob, ToolCall, Usage


class TokenLogprob(msgspec.Struct, gc=False):
    token: str
    logprob: float


class ChatLogprob(msgspec.Struct, gc=False):
    token: str
    logprob: float
    top_logprobs: list[TokenLogprob] = []


class Logprobs(msgspec.Struct, gc=False):
    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] | None = None
    content: list[ChatLogprob] | None = None


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class CallDelta(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallDelta] | None = None


class Choice(msgspec.Struct, gc=False):
    index: int = 0
    text: str = ""
    delta: Delta | None = None
    token_ids: list[int] | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = 0


class WireUsage(msgspec.Struct, gc=False):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None


class Frame(msgspec.Struct, gc=False):
    choices: list[Choice] = []
    usage: WireUsage | None = None
    error: Any = None


class Tokenized(msgspec.Struct):
    tokens: list[int]
    max_model_len: int


class Detokenized(msgspec.Struct):
    prompt: str


class Model(msgspec.Struct):
    """A model that an engine serves."""

    id: str
    max_model_len: int | None = None
    created: int = 0


class Models(msgspec.Struct):
    data: list[Model]


class Version(msgspec.Struct):
    version: str


DECODER = msgspec.json.Decoder(Frame)
logprob = partial(tuple.__new__, Logprob)
"""A token's, of its fields: what `Logprob._make` does, without a call of Python's for each token."""
Shape = TypeVar("Shape", bound=msgspec.Struct)


def answer_as(shape: type[Shape], data: bytes) -> Shape:
    """An answer as it should be. Raises BackendError where it is not."""
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BackendError("the engine sent an answer that cannot be read", cause="garbage") from error


def decoded(data: bytes) -> Frame:
    """One event. Raises BackendError where it is none, or tells of an error."""
    try:
        frame = DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BackendError("the engine sent an event that cannot be read", cause="garbage") from error
    if frame.error:
        said = frame.error if isinstance(frame.error, dict) else {"message": frame.error}
        code = said.get("code")
        raise BackendError(str(said.get("message")), code if isinstance(code, int) else None, cause="error_in_stream")
    return frame


def usage_of(told: WireUsage, counted: int) -> Usage:
    """What a call cost by the engine's account, where its chunks told of `counted` tokens."""
    cached = told.prompt_tokens_details.cached_tokens if told.prompt_tokens_details else 0
    return Usage(told.prompt_tokens, cached or 0, max(0, told.completion_tokens - counted))


def logprobs_of(told: Logprobs | None) -> tuple[Logprob, ...]:
    """Log-probabilities of a chunk's tokens, from either kind of answer."""
    if told is None:
        return ()
    if told.content is not None:
        return tuple(
            [
                Logprob(one.logprob, {top.token: top.logprob for top in one.top_logprobs}, one.token)
                for one in told.content
            ]
        )
    known = told.top_logprobs or [None] * len(told.token_logprobs)
    if not len(told.tokens) == len(told.token_logprobs) == len(known):
        raise BackendError("the engine told log-probabilities of other tokens than it sampled", cause="garbage")
    sampled = [p or 0.0 for p in told.token_logprobs]
    return tuple(map(logprob, zip(sampled, [top or NONE for top in known], told.tokens, strict=True)))


def call_part(told: CallDelta) -> ToolCall:
    """A part of a tool call."""
    function = told.function or Function()
    return ToolCall(told.index, told.id or "", function.name or "", function.arguments or "")
