"""The seams. Anything of these shapes fits; nothing need be subclassed."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from strategies.events import Event
from strategies.types import Call, Candidate, Cause, Chunk, Prompt, Score

T = TypeVar("T")

Take = Callable[[Sequence[Chunk]], Awaitable[None]]
"""Takes what has arrived of a call, all that came at once; nothing more is read until it is done."""

Observer = Callable[[Event], None]
"""Sync, so that nobody downstream can stall a search."""


class Backend(Protocol):
    """A model that writes."""

    async def render(self, prompt: Prompt) -> Prompt:
        """The prompt with its token ids and `room`, or as it is where the engine cannot tell. Raises BackendError."""
        ...

    async def stream(self, call: Call, take: Take) -> None:
        """Generate `call.n` continuations, to their end; `take` gets them as they come.

        Where this is cancelled, or `take` raises, they are aborted, all of them. Raises BackendError.
        """
        ...


async def collected(model: Backend, call: Call) -> list[Chunk]:
    """All that comes of a call. Raises BackendError."""
    chunks: list[Chunk] = []

    async def take(arrived: Sequence[Chunk]) -> None:
        chunks.extend(arrived)

    await model.stream(call, take)
    return chunks


class Expired(Exception):
    """A computation took longer, or more memory, than it may."""


class Compute(Protocol):
    """A place to run what may take too long on hostile text, such as a parser that is not linear."""

    async def __call__(self, function: Callable[..., T], *args: Any) -> T:
        """`function(*args)`; the function is a module's own, the arguments and the result are JSON. Raises Expired."""
        ...


async def inline(function: Callable[..., T], *args: Any) -> T:
    """Compute right here, without a limit: for tests and offline work, never for a server."""
    return function(*args)


@dataclass(frozen=True, slots=True)
class Reward:
    """Where a reward model is served: an engine's URL, and the model's name there."""

    url: str
    model: str
    api_key: str | None = field(default=None, repr=False)


Endpoint = Literal["classify", "score"]
"""Where an outcome is read: of the conversation as a whole, or of a question and an answer as a pair."""


class Scorer(Protocol):
    """A reward model behind an engine's pooling endpoints. Knows no aggregation.

    Each method gives one result a candidate, in order: None for one that the engine refuses, such as one too long for
    the model. Raises BackendError where it refuses all of them, or fails. With `activation`, values are what the
    engine makes of the model's outputs (0 to 1); without, raw outputs.
    """

    async def outcomes(
        self, candidates: Sequence[Candidate], *, endpoint: Endpoint = "classify", activation: bool = True
    ) -> Sequence[float | None]:
        """The value of each response as a whole."""
        ...

    async def prefixes(
        self, candidates: Sequence[Candidate], *, activation: bool = True
    ) -> Sequence[tuple[float, ...] | None]:
        """The value of each path up to each of its steps."""
        ...

    async def steps(
        self, candidates: Sequence[Candidate], tag: str | int, *, activation: bool = True
    ) -> Sequence[tuple[float, ...] | None]:
        """The value of each step, read at the `tag` put after it: a token of the model's, its text or its id."""
        ...


def no_scorers(reward: Reward) -> Scorer:
    """Where nothing serves reward models."""
    raise BackendError("there are no reward models here")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a verifier may use: a metered model to ask, a place to compute, reward models."""

    model: Backend
    compute: Compute = inline
    scorers: Callable[[Reward], Scorer] = no_scorers


class Verifier(Protocol):
    """Something that tells good candidates from bad ones.

    `logprobs`: alternatives a token that it needs to see. `compares`: it judges candidates by those that it gets
    together, so it should get them all.
    """

    logprobs: ClassVar[int | None]

    @property
    def compares(self) -> bool: ...

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> Sequence[Score | None]:
        """One score each, in order; None for one that could not be judged."""
        ...


class BackendError(Exception):
    """A generation failed for a reason of the engine's, not of ours.

    `status` is the HTTP status of the engine's answer, where there was one; `param` the field that it complains of;
    `cause` what kind of failure it is, by the status where it is not named; `retry_after` the seconds that the engine
    asks us to wait. `broke_at` names the engine at which it broke off, where another is there that could go on.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        param: str | None = None,
        *,
        cause: Cause | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param = status, param
        self.cause: Cause = cause or cause_of(status)
        self.retry_after = retry_after
        self.broke_at = ""


def cause_of(status: int | None) -> Cause:
    """What kind of failure an HTTP status tells of."""
    if status is None:
        return "other"
    if status in (429, 503):
        return "overloaded"
    return "status" if status >= 500 else "refused"


class Unusable(Exception):
    """What the request gave a verifier (`param`) cannot be used, as was found out only when it judged.

    No engine's failure, which a run would get over: it ends the request.
    """

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param
