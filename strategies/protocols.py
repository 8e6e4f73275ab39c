"""The seams. Anything of these shapes fits; nothing need be subclassed."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from strategies.events import Event
from strategies.types import Call, Candidate, Chunk, Prompt, Score

Observer = Callable[[Event], None]
"""Sync, so that nobody downstream can stall a search."""


class Backend(Protocol):
    """A model that writes."""

    async def render(self, prompt: Prompt) -> Prompt:
        """The prompt with its token ids and `room`, or as it is where the engine cannot tell. Raises BackendError."""
        ...

    def stream(self, call: Call) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """Generate `call.n` continuations; leaving the block aborts them all. Raises BackendError."""
        ...


class Verifier(Protocol):
    """Something that tells good candidates from bad ones."""

    async def score(self, candidates: Sequence[Candidate], ask: Backend) -> Sequence[Score | None]:
        """One score each, in order; None for one that could not be judged. `ask` is metered: a model to ask."""
        ...


class BackendError(Exception):
    """A generation failed for a reason of the engine's, not of ours.

    `status` is the HTTP status of the engine's answer, where there was one; `param` the field that it complains of.
    """

    def __init__(self, message: str, status: int | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param = status, param
