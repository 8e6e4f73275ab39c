"""Reward models behind the pooling endpoints of vLLM (`--runner pooling`). Knows nothing of what values are used for.

A server answers either `/classify` and `/score` (a `*ForSequenceClassification` model: one value for all that it
reads) or `/pooling` (a `*ForTokenClassification` model with step pooling: one value for each step tag). Inputs go as
token ids: a tag inside a text may tokenise into something else, an id stays what it is.
"""

import hashlib
import logging
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from itertools import accumulate
from typing import Any, TypeVar

import anyio
import msgspec
from anyio.abc import TaskGroup

from server.backends.batching import Batches
from server.backends.http import Patience, Upstream
from server.backends.lately import Lately
from server.backends.tokens import Ids, Tokens
from server.backends.values import Classes, Pairs, Pools, Row, at_places, in_order, value_of, whole
from strategies.protocols import BackendError, Endpoint, Reward
from strategies.tasks import together
from strategies.types import Candidate
from strategies.verifiers.base import question
from strategies.verifiers.fencing import shown

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 120.0
"""How long a request may take, queueing included."""
PREFIXES = 1 << 14
"""Values of prefixes that are remembered: those of the searches in flight."""

Shape = TypeVar("Shape", bound=msgspec.Struct)
log = logging.getLogger(__name__)


class PoolingScorer:
    """One reward model as a `Scorer`. What concurrent searches ask shares requests, which run in `tasks`."""

    def __init__(self, upstream: Upstream, model: str, tasks: TaskGroup) -> None:
        self.upstream, self._model = upstream, model
        self._tokens = Tokens(upstream, model)
        self._prefixes: Lately[bytes, float] = Lately(PREFIXES)
        both = (True, False)
        self._classes = {on: Batches(tasks, partial(self._classify, on)) for on in both}
        self._pairs = {on: Batches(tasks, partial(self._score, on)) for on in both}
        self._pools = {on: Batches(tasks, partial(self._pool, on)) for on in both}

    async def outcomes(
        self, candidates: Sequence[Candidate], *, endpoint: Endpoint = "classify", activation: bool = True
    ) -> list[float | None]:
        """The value of each conversation, its response closed; or of its question and the response as a pair."""
        with in_our_words():
            if endpoint == "score":
                return await self._pairs[activation].ask([(question(one), shown(one)) for one in candidates])
            return await self._classes[activation].ask(await together(self._conversation, candidates))

    async def prefixes(
        self, candidates: Sequence[Candidate], *, activation: bool = True
    ) -> list[tuple[float, ...] | None]:
        """The value of each path up to each of its steps. Only those that were not read lately are asked for."""
        with in_our_words():
            paths = await together(self._paths, candidates)
            keyed = [[(digest(ids, activation), ids) for ids in path] for path in paths]
            known = {key: self._prefixes.get(key) for path in keyed for key, _ in path}
            unknown = {key: ids for path in keyed for key, ids in path if known[key] is None}
            values = await self._classes[activation].ask(list(unknown.values()))
        for key, value in zip(unknown, values, strict=True):
            known[key] = value
            if value is not None:
                self._prefixes[key] = value
        return [whole([known[key] for key, _ in path]) for path in keyed]

    async def steps(
        self, candidates: Sequence[Candidate], tag: str | int, *, activation: bool = True
    ) -> list[tuple[float, ...] | None]:
        """The value of each step. White space that ends a step gives way to the tag, as in the models' training."""
        with in_our_words():
            mark = await self._id(tag)
            tagged = await together(partial(self._tagged, mark), candidates)
            rows = await self._pools[activation].ask([ids for ids, _ in tagged])
        return [
            None if each is None else tuple(value_of(row, activation) for row in at_places(each, ids, places, mark))
            for each, (ids, places) in zip(rows, tagged, strict=True)
        ]

    async def _conversation(self, candidate: Candidate) -> Ids:
        return await self._tokens.conversation(candidate.prompt.messages, shown(candidate))

    async def _paths(self, candidate: Candidate) -> list[Ids]:
        """The prompt and the reply so far, up to each step."""
        prompt = await self._tokens.prompt(candidate.prompt.messages)
        steps = await together(self._tokens.text, [step.text for step in candidate.steps])
        return list(accumulate(steps, initial=prompt))[1:]

    async def _tagged(self, tag: int, candidate: Candidate) -> tuple[Ids, list[int]]:
        """The prompt and the steps, the tag's id behind each; and where these tags stand."""
        prompt = await self._tokens.prompt(candidate.prompt.messages)
        steps = await together(self._tokens.text, [step.text.rstrip() for step in candidate.steps])
        ends = list(accumulate((len(step) + 1 for step in steps), initial=len(prompt)))[1:]
        return (*prompt, *(id for step in steps for id in (*step, tag))), [end - 1 for end in ends]

    async def _id(self, tag: str | int) -> int:
        if isinstance(tag, int):
            return tag
        ids = await self._tokens.text(tag)
        if len(ids) != 1:
            raise BackendError(f"the step tag {tag!r} is {len(ids)} tokens of the reward model's, not one")
        return ids[0]

    async def _classify(self, activation: bool, inputs: Sequence[Ids]) -> list[float]:
        told = await self._ask("/classify", {"input": inputs}, activation, Classes)
        return [value_of(one.probs, activation) for one in in_order(told.data, len(inputs))]

    async def _score(self, activation: bool, pairs: Sequence[tuple[str, str]]) -> list[float]:
        body = {"queries": [asked for asked, _ in pairs], "documents": [said for _, said in pairs]}
        told = await self._ask("/score", body, activation, Pairs)
        return [one.score for one in in_order(told.data, len(pairs))]

    async def _pool(self, activation: bool, inputs: Sequence[Ids]) -> list[list[float | Row]]:
        told = await self._ask("/pooling", {"input": inputs}, activation, Pools)
        return [one.data for one in in_order(told.data, len(inputs))]

    async def _ask(self, path: str, body: dict[str, Any], activation: bool, shape: type[Shape]) -> Shape:
        raw: dict[str, Any] = {} if activation else {"use_activation": False}
        told = await self.upstream.post(path, {"model": self._model, **body, **raw})
        try:
            return msgspec.json.decode(told, type=shape)
        except msgspec.DecodeError as error:
            raise BackendError("the reward model sent values that cannot be read") from error


class Scorers:
    """The reward models that verifiers name: one scorer for each, made when first asked for."""

    def __init__(self) -> None:
        self._scorers: dict[Reward, PoolingScorer] = {}
        self.tasks: TaskGroup

    def __call__(self, reward: Reward) -> PoolingScorer:
        if reward not in self._scorers:
            patience = Patience(CONNECT_SECONDS, idle=ANSWER_SECONDS, whole=ANSWER_SECONDS)
            upstream = Upstream(reward.url, api_key=reward.api_key, patience=patience)
            self._scorers[reward] = PoolingScorer(upstream, reward.model, self.tasks)
        return self._scorers[reward]

    def close(self) -> None:
        """End the connections that are free."""
        for scorer in self._scorers.values():
            scorer.upstream.close()


@asynccontextmanager
async def scorers() -> AsyncIterator[Scorers]:
    """Reward models for as long as the block lasts; leaving it ends what is in flight."""
    with closing(Scorers()) as made:
        async with anyio.create_task_group() as made.tasks:
            yield made
            made.tasks.cancel_scope.cancel()


@contextmanager
def in_our_words() -> Iterator[None]:
    """Keep a reward model's own words, in which its name or a request may stand, to ourselves: its status is told."""
    try:
        yield
    except BackendError as error:
        if error.status is None:
            raise
        log.warning("a reward model answered %s", error.status)
        raise BackendError(f"the reward model answered {error.status}", error.status) from error


def digest(ids: Ids, activation: bool) -> bytes:
    """A short name of what a value depends on."""
    return hashlib.sha256(array("q", (activation, *ids)).tobytes()).digest()
