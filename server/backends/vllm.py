"""vLLM: tokens in, tokens out. Prompts are rendered once; continuations send the ids they were sampled as.

An engine without `/tokenize` gets chat requests that continue the last message instead; a step's text is then tokenised
again each time.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from server.backends.http import Upstream
from server.backends.reading import Reading
from server.backends.wire import Detokenized, Model, Models, Tokenized, answer_as, decoded, usage_of
from strategies.protocols import BackendError, Take
from strategies.types import Call, Chunk, Prompt

STOPS = 4
"""Stop strings that vLLM takes in one request (VLLM_MAX_STOP_STRINGS)."""
INTERVAL = 16
"""Tokens an event, for sequences that nobody watches."""
TAIL = 8
"""Ids at a prompt's end that tell whether the template opens a `<think>`."""
REMEMBERED = 256
"""Ends of prompts, and words put into the model's mouth, that are remembered: there are few of either."""
WORDS = 64
"""Tokens of the longest words that are remembered."""
PREAMBLE = 512
"""Tokens that a template puts before a conversation at most: the date, how tools are called, who the model is."""
MARKS = 16
"""Tokens that a template puts around a message at most."""
K = TypeVar("K")
V = TypeVar("V")
log = logging.getLogger(__name__)


class Vllm:
    """One model of one engine, as a `Backend`."""

    def __init__(self, upstream: Upstream, model: str, max_model_len: int | None = None, name: str = "") -> None:
        self.upstream, self.model, self.max_model_len, self.name = upstream, model, max_model_len, name
        self._tokenizes = True
        self._thinks: dict[tuple[int, ...], bool] = {}
        self._opens: dict[bytes, bool] = {}
        self._words: dict[str, tuple[int, ...]] = {}

    async def render(self, prompt: Prompt) -> Prompt:
        """The prompt with the token ids of the chat template. Raises BackendError, status 400 where it is too long.

        One that is answered `once` stays as it is where the template is known: then what may be written after it is
        for the engine to say.
        """
        if not self._tokenizes or has_media(prompt):
            return self._unrendered(prompt)
        if prompt.once and (opens := self._opens.get(kind_of(prompt))) is not None:
            return replace(prompt, room=self.max_model_len, thinks=opens)
        return await self._rendered(prompt)

    async def _rendered(self, prompt: Prompt) -> Prompt:
        body = {"model": self.model, "messages": prompt.messages, "add_generation_prompt": True}
        body |= templated(prompt)
        try:
            told = answer_as(Tokenized, await self.upstream.post("/tokenize", body))
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
        thinks = await self._opens_thinking(told.tokens)
        remember(self._opens, kind_of(prompt), thinks)
        return replace(prompt, ids=tuple(told.tokens), room=room, thinks=thinks)

    async def _opens_thinking(self, ids: list[int]) -> bool:
        """Whether the rendered prompt ends with a `<think>` of the chat template's."""
        end = tuple(ids[-TAIL:])
        if end not in self._thinks:
            remember(self._thinks, end, (await self._text(end)).rstrip().endswith("<think>"))
        return self._thinks[end]

    async def _with_ids(self, call: Call) -> Call:
        """The call with token ids for steps that came without: words that nobody sampled, or that were cut short."""
        if call.prompt.ids is None or all(step.ids or not step.text for step in call.steps):
            return call
        steps = [step if step.ids else replace(step, ids=await self._ids(step.text)) for step in call.steps]
        left = (call.prompt.room or call.max_tokens) - sum(len(step.ids) for step in steps)
        if left <= 0:
            raise BackendError("there is no room left after what was put into the model's mouth", 400)
        return replace(call, steps=tuple(steps), max_tokens=min(call.max_tokens, left))

    async def _ids(self, text: str) -> tuple[int, ...]:
        if not text:
            return ()
        if text in self._words:
            return self._words[text]
        body = {"model": self.model, "prompt": text, "add_special_tokens": False}
        told = tuple(answer_as(Tokenized, await self.upstream.post("/tokenize", body)).tokens)
        if len(told) <= WORDS:
            remember(self._words, text, told)
        return told

    async def _text(self, ids: Sequence[int]) -> str:
        body = {"model": self.model, "tokens": ids}
        return answer_as(Detokenized, await self.upstream.post("/detokenize", body)).prompt

    def _unrendered(self, prompt: Prompt) -> Prompt:
        """The prompt as it is, with a guess at the room: some four characters are a token."""
        if self.max_model_len is None:
            return prompt
        length = sum(len(str(message.get("content"))) for message in prompt.messages) // 4
        return replace(prompt, room=max(1, self.max_model_len - length))

    async def stream(self, call: Call, take: Take) -> None:
        if call.prompt.ids is None:
            call = await self._fitting(call)
        call = await self._with_ids(call)
        chats = call.prompt.ids is None or call.prompt.tools
        path, body = ("/v1/chat/completions", self._chat(call)) if chats else ("/v1/completions", ids(call))
        readings = [Reading(call, self.name) for _ in range(call.n)]
        await self.upstream.sse(path, {"model": self.model, **body}, lambda frames: self._read(frames, readings, take))

    async def _fitting(self, call: Call) -> Call:
        """The call with its prompt rendered, where it has to be to know that what is asked for has room after it.

        A token is a byte at least. A call for as many tokens as the model takes in all asks for what is left.
        """
        if not self._tokenizes or has_media(call.prompt):
            return call
        if not call.prompt.once or self.max_model_len is None or call.steps:
            return replace(call, prompt=await self.render(call.prompt))
        if call.max_tokens < self.max_model_len < call.max_tokens + most_tokens(call.prompt):
            prompt = await self._rendered(call.prompt)
            return replace(call, prompt=prompt, max_tokens=min(call.max_tokens, prompt.room or call.max_tokens))
        return call

    async def _read(self, frames: Sequence[bytes], readings: Sequence[Reading], take: Take) -> None:
        """Some events as chunks; `take` gets those before one that cannot be read, too."""
        chunks: list[Chunk] = []
        try:
            for data in frames:
                frame = decoded(data)
                for choice in frame.choices:
                    if not 0 <= choice.index < len(readings):
                        raise BackendError("the engine answered a sequence that was not asked for", cause="garbage")
                    chunk = readings[choice.index].chunk(choice)
                    chunks.append(await self._step(chunk, readings) if chunk.finish == "step" else chunk)
                if frame.usage:
                    chunks.append(Chunk(usage=usage_of(frame.usage, sum(reading.tokens for reading in readings))))
        finally:
            if chunks:
                await take(chunks)

    async def _step(self, chunk: Chunk, readings: Sequence[Reading]) -> Chunk:
        """The end of a step, all of its text."""
        return chunk._replace(text=chunk.text + await self._rest(readings[chunk.index]))

    def _chat(self, call: Call) -> dict[str, Any]:
        body = chat(call)
        if call.prompt.once and self.max_model_len is not None and call.max_tokens >= self.max_model_len:
            del body["max_tokens"]
        return body

    async def _rest(self, reading: "Reading") -> str:
        """What a step's last token says after the text that ended the step: vLLM cuts it off, but the id stays."""
        if not reading.ids or not reading.step:
            return ""
        whole = await self._text(reading.ids)
        return whole.split(reading.step, reading.said.count(reading.step))[-1]


def ids(call: Call) -> dict[str, Any]:
    """A completion request that continues token ids."""
    prompt = [*(call.prompt.ids or ()), *(id for step in call.steps for id in step.ids)]
    body = common(call) | {"prompt": prompt, "return_token_ids": True}
    if call.sampling.logprobs is not None:
        body["logprobs"] = call.sampling.logprobs
    return body


def chat(call: Call) -> dict[str, Any]:
    """A chat request that continues the last message, for an engine that does not tokenise for others."""
    body = common(call) | templated(call.prompt) | {"messages": list(call.prompt.messages), "return_token_ids": True}
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


def templated(prompt: Prompt) -> dict[str, Any]:
    """What the chat template gets besides the messages."""
    tools = {"tools": list(prompt.tools)} if prompt.tools else {}
    return tools | ({"chat_template_kwargs": dict(prompt.template)} if prompt.template else {})


def kind_of(prompt: Prompt) -> bytes:
    """What decides how the template opens a reply."""
    return msgspec.json.encode([sorted(prompt.template.items()), bool(prompt.tools)])


def most_tokens(prompt: Prompt) -> int:
    """More tokens than a prompt can have: a token is a byte at least, and a template adds few of its own."""
    return len(msgspec.json.encode([prompt.messages, prompt.tools])) + PREAMBLE + MARKS * len(prompt.messages)


def remember(known: dict[K, V], key: K, value: V) -> None:
    """Keep something that was learnt, of which there should be few."""
    if len(known) >= REMEMBERED:
        known.clear()
    known[key] = value


def has_media(prompt: Prompt) -> bool:
    """Whether the prompt is more than text, so that only the engine's chat can take it."""
    contents = [message.get("content") for message in prompt.messages]
    return any(part.get("type") != "text" for content in contents if isinstance(content, list) for part in content)


async def models(upstream: Upstream) -> list[Model]:
    """The models an engine serves. Raises BackendError."""
    return answer_as(Models, await upstream.get("/v1/models")).data
