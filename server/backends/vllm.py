"""vLLM: tokens in, tokens out. Prompts are rendered once; continuations send the ids they were sampled as.

An engine without `/tokenize` gets chat requests that continue the last message instead; a step's text is then tokenised
again each time.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec

from server.backends.http import Upstream
from strategies.protocols import BackendError
from strategies.types import Call, Chunk, Finish, Prompt, TopLogprobs, Usage

STOPS = 4
"""Stop strings that vLLM takes in one request (VLLM_MAX_STOP_STRINGS)."""
INTERVAL = 16
"""Tokens an event, for sequences that nobody watches."""
log = logging.getLogger(__name__)


class TokenLogprob(msgspec.Struct):
    token: str
    logprob: float


class ChatLogprob(msgspec.Struct):
    logprob: float
    top_logprobs: list[TokenLogprob] = []


class Logprobs(msgspec.Struct):
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] | None = None
    content: list[ChatLogprob] | None = None


class Delta(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    index: int = 0
    text: str = ""
    delta: Delta | None = None
    token_ids: list[int] | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct):
    cached_tokens: int | None = 0


class WireUsage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None


class Frame(msgspec.Struct):
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


DECODER = msgspec.json.Decoder(Frame)


class Vllm:
    """One model of one engine, as a `Backend`."""

    def __init__(self, upstream: Upstream, model: str, max_model_len: int | None = None) -> None:
        self.upstream, self.model, self.max_model_len = upstream, model, max_model_len
        self._tokenizes = True

    async def render(self, prompt: Prompt) -> Prompt:
        """The prompt with the token ids of the chat template. Raises BackendError, status 400 where it is too long."""
        if not self._tokenizes:
            return self._unrendered(prompt)
        body = {"model": self.model, "messages": prompt.messages, "add_generation_prompt": True}
        try:
            told = msgspec.json.decode(await self.upstream.post("/tokenize", body), type=Tokenized)
        except BackendError as error:
            if error.status not in (404, 405):
                raise
            self._tokenizes = False
            log.warning("the engine has no /tokenize: continuing chat messages by their text instead of token ids")
            return self._unrendered(prompt)
        room = told.max_model_len - len(told.tokens)
        if room <= 0:
            raise BackendError(
                f"the prompt has {len(told.tokens)} tokens, the model takes {told.max_model_len} in all", 400
            )
        return replace(prompt, ids=tuple(told.tokens), room=room)

    def _unrendered(self, prompt: Prompt) -> Prompt:
        """The prompt as it is, with a guess at the room: some four characters are a token."""
        if self.max_model_len is None:
            return prompt
        length = sum(len(str(message.get("content"))) for message in prompt.messages) // 4
        return replace(prompt, room=max(1, self.max_model_len - length))

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[AsyncIterator[Chunk]]:
        if call.prompt.ids is None:
            call = replace(call, prompt=await self.render(call.prompt))
        path, body = ("/v1/chat/completions", chat(call)) if call.prompt.ids is None else ("/v1/completions", ids(call))
        async with self.upstream.sse(path, {"model": self.model, **body}) as frames:
            yield self._chunks(frames, call)

    async def _chunks(self, frames: AsyncIterator[bytes], call: Call) -> AsyncIterator[Chunk]:
        readings = [Reading(call) for _ in range(call.n)]
        async for data in frames:
            frame = decoded(data)
            for choice in frame.choices:
                if not 0 <= choice.index < call.n:
                    raise BackendError("the engine answered a sequence that was not asked for")
                reading = readings[choice.index]
                chunk = reading.chunk(choice)
                yield replace(chunk, text=chunk.text + await self._rest(reading)) if chunk.finish == "step" else chunk
            if frame.usage:
                yield Chunk(usage=usage_of(frame.usage, sum(reading.tokens for reading in readings)))

    async def _rest(self, reading: "Reading") -> str:
        """What a step's last token says after the text that ended the step: vLLM cuts it off, but the id stays."""
        if not reading.ids or not reading.step:
            return ""
        body = {"model": self.model, "tokens": reading.ids}
        whole = msgspec.json.decode(await self.upstream.post("/detokenize", body), type=Detokenized).prompt
        return whole.split(reading.step, reading.said.count(reading.step))[-1]


class Reading:
    """What one continuation has said so far, while that is needed to tell what its end means."""

    def __init__(self, call: Call) -> None:
        self.step = call.sampling.step
        self.ids: list[int] = []
        self.said = ""
        self.tokens = 0
        self._stops = call.sampling.stop if self.step else ()
        self._behind = max(map(len, self._stops), default=1) - 1
        self._held = ""

    def chunk(self, choice: Choice) -> Chunk:
        """One choice of an event as a chunk."""
        text = self._held + (choice.text or (choice.delta and choice.delta.content) or "")
        finish = self._finish(choice)
        tokens = choice.token_ids or ()
        if self.step:
            self.ids += tokens
        if finish is None and self._behind:
            cut = max(0, len(text) - self._behind)
            text, self._held = text[:cut], text[cut:]
        elif isinstance(choice.stop_reason, str) and choice.stop_reason in self._stops:
            text = text.removesuffix(choice.stop_reason)
        if self.step:
            self.said += text
        count = len(tokens) if choice.token_ids is not None else int(bool(text))
        self.tokens += count
        return Chunk(text, choice.index, tuple(tokens), count, finish, logprobs_of(choice.logprobs))

    def _finish(self, choice: Choice) -> Finish | None:
        match choice.finish_reason:
            case None:
                return None
            case "length":
                return "length"
            case "abort" | "error" as reason:
                raise BackendError(f"the engine gave a sequence up: {reason}")
        ours = self.step and choice.stop_reason == self.step and self.step not in self._stops
        return "step" if ours else "stop"


def ids(call: Call) -> dict[str, Any]:
    """A completion request that continues token ids."""
    prompt = [*(call.prompt.ids or ()), *(id for step in call.steps for id in step.ids)]
    body = common(call) | {"prompt": prompt, "return_token_ids": True}
    if call.sampling.logprobs is not None:
        body["logprobs"] = call.sampling.logprobs
    return body


def chat(call: Call) -> dict[str, Any]:
    """A chat request that continues the last message, for an engine that does not tokenise for others."""
    body = common(call) | {"messages": list(call.prompt.messages), "return_token_ids": True}
    if said := "".join(step.text for step in call.steps):
        body["messages"].append({"role": "assistant", "content": said})
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    if call.sampling.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": call.sampling.logprobs}
    return body


def common(call: Call) -> dict[str, Any]:
    """What both kinds of request say alike. Our step's end yields where the caller's stop strings fill vLLM's four."""
    sampling = call.sampling
    stops = list(sampling.stop)
    if sampling.step and sampling.step not in stops and len(stops) < STOPS:
        stops.append(sampling.step)
    wishes = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": stops or None,
    }
    extra = dict(sampling.extra)
    if "min_tokens" in extra:  # of the path; vLLM refuses more than max_tokens, which here may be one step's
        so_far = sum(step.tokens for step in call.steps)
        extra["min_tokens"] = max(0, min(extra["min_tokens"] - so_far, call.max_tokens))
    return {
        **extra,
        **{name: value for name, value in wishes.items() if value is not None},
        "include_stop_str_in_output": bool(sampling.step),
        "max_tokens": call.max_tokens,
        "n": call.n,
        "stream": True,
        "stream_interval": 1 if call.live else INTERVAL,
        "stream_options": {"include_usage": True},
    }


def decoded(data: bytes) -> Frame:
    """One event. Raises BackendError where it is none, or tells of an error."""
    try:
        frame = DECODER.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise BackendError("the engine sent an event that cannot be read") from error
    if frame.error:
        said = frame.error if isinstance(frame.error, dict) else {"message": frame.error}
        code = said.get("code")
        raise BackendError(str(said.get("message")), code if isinstance(code, int) else None)
    return frame


def usage_of(told: WireUsage, counted: int) -> Usage:
    """What a call cost by the engine's account, where its chunks told of `counted` tokens."""
    cached = told.prompt_tokens_details.cached_tokens if told.prompt_tokens_details else 0
    return Usage(told.prompt_tokens, cached or 0, max(0, told.completion_tokens - counted))


def logprobs_of(told: Logprobs | None) -> tuple[TopLogprobs, ...]:
    """Log-probabilities of a chunk's tokens, from either kind of answer."""
    if told is None:
        return ()
    if told.content is not None:
        return tuple(
            TopLogprobs(one.logprob, {top.token: top.logprob for top in one.top_logprobs}) for one in told.content
        )
    tops = told.top_logprobs or [None] * len(told.token_logprobs)
    return tuple(TopLogprobs(p or 0.0, top or {}) for p, top in zip(told.token_logprobs, tops, strict=True))


async def models(upstream: Upstream) -> list[Model]:
    """The models an engine serves. Raises BackendError."""
    return msgspec.json.decode(await upstream.get("/v1/models"), type=Models).data
