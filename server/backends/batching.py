"""Puts the questions of many callers into few requests. Knows nothing of what is asked."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from server.failures import where
from server.logs import asking
from server.traceparent import calling
from strategies.protocols import BackendError

Q = TypeVar("Q")
A = TypeVar("A")

WINDOW = 0.005
"""Seconds that a question waits for others to share its request."""
LARGEST = 64
"""Questions of one request at most."""
REFUSALS = (400, 413, 422)
"""What an engine answers to a request that it does not take: perhaps one question of it is to blame."""
log = logging.getLogger(__name__)


@dataclass(eq=False)
class Asked(Generic[Q, A]):
    """One question: whether its caller still waits, and what came of it."""

    question: Q
    wanted: bool = True
    answer: A | None = None
    error: BackendError | None = None
    done: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope | None = None
    beside: Sequence["Asked[Q, A]"] = ()


class Batches(Generic[Q, A]):
    """Gathers questions for a short while and sends them together; every caller gets what is its own.

    `send(questions)` gives one answer each. Requests run in `tasks`, not in any caller's: one that is cancelled takes
    nothing from the others, and a request that nobody waits for any more is cancelled.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        send: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
        *,
        window: float = WINDOW,
        largest: int = LARGEST,
    ) -> None:
        self._tasks, self._send, self._window, self._largest = tasks, send, window, largest
        self._waiting: list[Asked[Q, A]] = []

    async def ask(self, questions: Sequence[Q]) -> list[A | None]:
        """The answers, in order; None to a question that is refused. Raises BackendError where none is answered."""
        asked: list[Asked[Q, A]] = [Asked(question) for question in questions]
        for one in asked:
            self._join(one)
        try:
            for one in asked:
                await one.done.wait()
        finally:
            for one in asked:
                self._leave(one)
        errors = [one.error for one in asked if one.error]
        if errors and len(errors) == len(asked):
            raise errors[0]
        if failed := [error for error in errors if error.status not in REFUSALS]:
            raise failed[0]
        return [one.answer for one in asked]

    def _join(self, one: Asked[Q, A]) -> None:
        self._waiting.append(one)
        if len(self._waiting) == self._largest:
            self._flush()
        elif len(self._waiting) == 1:
            self._tasks.start_soon(self._flush_soon, one)

    def _leave(self, one: Asked[Q, A]) -> None:
        """A caller waits no more; a request without any caller ends."""
        one.wanted = False
        if one.scope and not any(other.wanted for other in one.beside):
            one.scope.cancel()

    async def _flush_soon(self, first: Asked[Q, A]) -> None:
        await anyio.sleep(self._window)
        if first in self._waiting:
            self._flush()

    def _flush(self) -> None:
        """Send what waits; whoever left meanwhile is not asked for."""
        batch = [one for one in self._waiting if one.wanted]
        self._waiting = []
        if batch:
            self._tasks.start_soon(self._answer, batch)

    async def _answer(self, batch: Sequence[Asked[Q, A]]) -> None:
        """One request, whatever comes of it: nothing that goes wrong here may end the tasks of others."""
        asking.set("")  # what many share belongs to none of them
        calling.set("")
        try:
            with anyio.CancelScope() as scope:
                for one in batch:
                    one.scope, one.beside = scope, batch
                await self._try(batch)
        except Exception as error:
            log.error("a request for many failed by an error of ours: %s", where(error))
        finally:
            for one in batch:
                if not one.done.is_set():
                    settle(one, BackendError("the request was given up"))

    async def _try(self, batch: Sequence[Asked[Q, A]]) -> None:
        """Send a batch; where it is refused, its halves, so that a refusal reaches only those to blame for it."""
        try:
            answers = await self._send([one.question for one in batch])
        except BackendError as error:
            if len(batch) == 1 or error.status not in REFUSALS:
                for one in batch:
                    settle(one, error)
                return
        else:
            for one, answer in zip(batch, answers, strict=True):
                settle(one, answer)
            return
        await self._try(batch[: len(batch) // 2])
        await self._try(batch[len(batch) // 2 :])


def settle(one: Asked[Q, A], outcome: A | BackendError) -> None:
    """Tell a caller what came of its question."""
    match outcome:
        case BackendError():
            one.error = outcome
        case _:
            one.answer = outcome
    one.done.set()
