"""A simulated vLLM with a reward model (`--runner pooling`): /classify, /score, /pooling, values by a plain function.

Like a real one it serves one kind of model: with a step tag a `*ForTokenClassification` of two labels, which has only
/pooling; without, a `*ForSequenceClassification` of one label.
"""

import asyncio
import json
import math
import zlib
from array import array
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec

from benchmarks.engine import Engine, Options, Received
from benchmarks.engine_chunks import BROKEN, error
from benchmarks.engine_http import Connection
from benchmarks.engine_requests import Refused, Tokenize, convert, served
from benchmarks.engine_text import VOCABULARY, encode

Ids = tuple[int, ...]
Value = Callable[[Ids], float]
"""The raw value of a text, of any size; its sigmoid is the value with activation."""
_PATHS = {"/classify", "/score", "/pooling"}
_GENERATING = {"/v1/completions", "/v1/chat/completions", "/detokenize"}


class _Asked(msgspec.Struct):
    model: str | None = None
    use_activation: bool | None = None


class _Inputs(_Asked):
    """The body of POST /classify and /pooling: texts, token ids, or a list of either; or one conversation."""

    input: Any = None
    messages: list[dict[str, Any]] | None = None
    add_generation_prompt: bool = False


class _Pairs(_Asked, kw_only=True):
    """The body of POST /score; one query goes with all documents."""

    queries: str | Annotated[list[str], msgspec.Meta(min_length=1)]
    documents: str | Annotated[list[str], msgspec.Meta(min_length=1)]


def hashed(ids: Ids) -> float:
    """A value from -5 to 5 that looks random and is the same in every process."""
    return (zlib.crc32(array("q", ids).tobytes()) % 2001 - 1000) / 200


def sigmoid(value: float) -> float:
    """From any number to one from 0 to 1."""
    return 1 / (1 + math.exp(-value))


class PoolingEngine(Engine):
    """The simulated reward model. Every answer takes `pause` seconds; those after `broken` is set are a 500.

    `aborted` counts requests whose client left before the answer, `running` those that wait for theirs.
    """

    def __init__(
        self,
        value: Value = hashed,
        options: Options | None = None,
        *,
        step_tag: int | None = None,
        template: bool = True,
        pause: float = 0.0,
    ) -> None:
        super().__init__(options=options)
        self.value, self.step_tag, self.template, self.pause = value, step_tag, template, pause
        self.broken = False
        self._due_answers: dict[Connection, asyncio.TimerHandle] = {}

    @property
    def running(self) -> int:
        return len(self._due_answers)

    def asked(self, path: str) -> list[Any]:
        """The bodies that came to a path."""
        return [one.body for one in self.requests if one.path == path]

    def _lose(self, connection: Connection) -> None:
        if due := self._due_answers.pop(connection, None):
            due.cancel()
            self.aborted += 1
        super()._lose(connection)

    def _respond(self, connection: Connection, method: str, path: str, body: bytes) -> None:
        missing = _GENERATING | (set() if self.step_tag is None else {"/score"})
        if path in missing:
            connection.answer(404, b'{"detail":"Not Found"}')
        elif path not in _PATHS or method != "POST":
            super()._respond(connection, "GET" if path in _PATHS else method, path, body)
        else:
            self.requests.append(Received(path, json.loads(body), connection.traceparent))
            self._due_answers[connection] = asyncio.get_running_loop().call_later(
                self.pause, self._answer, connection, self.requests[-1]
            )

    def _answer(self, connection: Connection, received: Received) -> None:
        del self._due_answers[connection]
        try:
            if self.broken:
                raise BROKEN
            connection.answer(200, json.dumps(self._told(received.path, received.body)).encode())
        except Refused as refused:
            connection.answer(refused.status, error(refused))

    def _told(self, path: str, body: Any) -> dict[str, Any]:
        if path == "/score":
            pairs = convert(body, _Pairs)
            served(pairs.model, self.options.model)
            inputs = [encode(asked + said) for asked, said in paired(pairs)]
            data = [{"object": "score", "score": self._single(ids, pairs)} for ids in inputs]
        else:
            asked = convert(body, _Inputs)
            served(asked.model, self.options.model)
            inputs = list(self._inputs(asked))
            data = [self._entry(path, ids, asked) for ids in inputs]
        count = sum(map(len, inputs))
        usage: dict[str, Any] = {"prompt_tokens": count, "total_tokens": count, "completion_tokens": 0}
        usage |= {"prompt_tokens_details": None, "completion_tokens_details": None}
        head = {"id": f"{path[1:]}-0", "object": "list", "created": 0, "model": self.options.model}
        return {**head, "data": [{"index": at, **one} for at, one in enumerate(data)], "usage": usage}

    def _entry(self, path: str, ids: Ids, asked: _Asked) -> dict[str, Any]:
        if self.step_tag is not None:
            if path == "/classify":
                raise Refused(501, "The model does not support Classification API", "NotImplementedError")
            ends = [at for at, id in enumerate(ids, start=1) if id == self.step_tag]
            return {"object": "pooling", "data": [self._labels(ids[:end], asked) for end in ends]}
        value = [self._single(ids, asked)]
        if path == "/pooling":
            return {"object": "pooling", "data": value}
        return {"label": "LABEL_0", "probs": value, "num_classes": 1}

    def _single(self, ids: Ids, asked: _Asked) -> float:
        return self.value(ids) if asked.use_activation is False else sigmoid(self.value(ids))

    def _labels(self, ids: Ids, asked: _Asked) -> list[float]:
        value = self.value(ids)
        return [0.0, value] if asked.use_activation is False else [1 - sigmoid(value), sigmoid(value)]

    def _inputs(self, asked: _Inputs) -> Iterator[Ids]:
        """The token ids of each input, refused as vLLM refuses them."""
        given = asked.input
        if asked.messages is not None:
            given = self._conversation(Tokenize(messages=asked.messages, add_generation_prompt=False))
        many = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
        if not many:
            raise Refused(400, "You must pass at least one prompt")
        for one in many:
            ids = encode(one) if isinstance(one, str) else tuple(one)
            if not ids:
                raise Refused(400, "The decoder prompt cannot be empty")
            if strange := next((id for id in ids if id >= VOCABULARY), None):
                raise Refused(400, f"Token id {strange} is out of vocabulary")
            if len(ids) > (most := self.options.max_model_len):
                said = f"This model's maximum context length is {most} tokens. However, your prompt has {len(ids)}."
                raise Refused(400, said, param="input_tokens")
            yield ids

    def _conversation(self, asked: Tokenize) -> Ids:
        if not self.template:
            said = "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat "
            raise Refused(400, said + "template if the tokenizer does not define one.")
        return super()._conversation(asked)


def paired(asked: _Pairs) -> Sequence[tuple[str, str]]:
    """Queries and documents as pairs."""
    queries = [asked.queries] if isinstance(asked.queries, str) else asked.queries
    documents = [asked.documents] if isinstance(asked.documents, str) else asked.documents
    if len(queries) == 1:
        queries = queries * len(documents)
    if len(queries) != len(documents):
        raise Refused(400, "Input lengths must be either 1:1, 1:N or N:N")
    return list(zip(queries, documents, strict=True))


@asynccontextmanager
async def simulated_rewards(
    value: Value = hashed, *, model: str = "reward", max_model_len: int = 8192, **options: Any
) -> AsyncIterator[PoolingEngine]:
    """Serve a simulated reward model from the running event loop; `options` are those of PoolingEngine."""
    engine = PoolingEngine(value, Options(model=model, max_model_len=max_model_len), **options)
    await engine.listen()
    try:
        yield engine
    finally:
        await engine.close()
