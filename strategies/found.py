"""What a run has found so far, and who is told of it."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import anyio

from strategies.answers import thinking
from strategies.events import Closed, Judged, Judging, Lost, Note, Opened, Pruned, Scored
from strategies.protocols import BackendError, Observer
from strategies.types import Candidate, Cause, Score


class Found:
    """The candidates of one run by id, in the order of their birth, as last scored; every change is an event."""

    def __init__(self, root: str, observe: Observer) -> None:
        self.root, self.observe = root, observe
        self.lost: list[BackendError] = []
        self.broken: set[str] = set()
        self._all: dict[str, Candidate] = {}
        self._births: dict[str, int] = {}
        self._places: dict[str, int] = {}
        self._pruned: set[str] = set()

    def __getitem__(self, id: str) -> Candidate:
        return self._all[id]

    def __contains__(self, id: str) -> bool:
        return id in self._all

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Those that have grown and are not pruned; all that have grown, where that leaves none."""
        grown = [candidate for candidate in self._all.values() if candidate.tokens]
        kept = [candidate for candidate in grown if candidate.id not in self._pruned]
        return tuple(kept or grown)

    def next_child(self, parent: str) -> int:
        """The number of the next child that `parent` will have."""
        return self._births.get(parent, 0)

    def place(self, candidate: Candidate) -> int:
        """The place of a candidate in the order of birth."""
        return self._places[candidate.id]

    def bear(self, parent: Candidate) -> Candidate:
        """A new child of `parent`, as yet its equal."""
        at = self.next_child(parent.id)
        child = Candidate(parent.prompt, f"{parent.id}.{at}", parent.steps)
        self._births[parent.id] = at + 1
        self._places[child.id] = len(self._places)
        self._all[child.id] = child
        self.observe(Opened(child.id, parent.id, thinking(parent)))
        return child

    def close(self, child: Candidate, early: bool = False) -> Candidate:
        self._all[child.id] = child
        self.observe(Closed(child, early))
        return child

    def lose(self, child: Candidate, error: BackendError, tokens: int) -> None:
        """A lost sample makes n smaller; it does not end the run. One of which something had come is `broken`."""
        self.lost.append(error)
        if tokens:
            self.broken.add(child.id)
        del self._all[child.id]
        self.observe(Lost(child.id, str(error), tokens, error.cause))

    def check(self, quorum: float) -> None:
        """Raise BackendError where less than the share `quorum` of the sequences that were started are left."""
        started = len(self._places)
        if self.lost and started - len(self.lost) < quorum * started:
            raise loss(self.lost, started)

    @contextmanager
    def judging(self, candidates: Iterable[Candidate]) -> Iterator[None]:
        """A call of the verifier: its beginning is told, and its end, however it came."""
        ids = tuple(candidate.id for candidate in candidates)
        self.observe(Judging(self.root, ids))
        began = anyio.current_time()
        failure: Cause | Literal["cut"] | None = "cut"
        try:
            yield
            failure = None
        except BackendError as error:
            failure = error.cause
            raise
        finally:
            self.observe(Judged(self.root, ids, anyio.current_time() - began, failure))

    def judge(self, candidate: Candidate, score: Score | None) -> Candidate:
        """The candidate with its score; as it was, with a note, where there is none, or one that is no number."""
        if score is None or not all(map(math.isfinite, (score.value, *score.steps))):
            self.note(f"{candidate.id} could not be judged", [candidate])
            return candidate
        self._all[candidate.id] = candidate.judged(score)
        self.observe(Scored(self._all[candidate.id]))
        return self._all[candidate.id]

    def vote_as(self, same: Mapping[str, str]) -> None:
        """Candidates (by id) whose answers were found equal to others' vote for those from now on."""
        for id, answer in same.items():
            self._all[id] = replace(self._all[id], votes_for=answer)

    def prune(self, candidates: Iterable[Candidate], why: str) -> None:
        ids = tuple(candidate.id for candidate in candidates)
        self._pruned.update(ids)
        if ids:
            self.observe(Pruned(self.root, why, ids))

    def note(
        self,
        text: str,
        candidates: Iterable[Candidate] = (),
        facts: Mapping[str, Any] | None = None,
        *,
        degraded: bool = False,
    ) -> None:
        self.observe(Note(self.root, text, tuple(candidate.id for candidate in candidates), facts or {}, degraded))


def loss(lost: Sequence[BackendError], started: int) -> BackendError:
    """So many losses as one error: of the cause that all have, else a 502; a single one, or a refusal, as itself."""
    refused = [error for error in lost if error.cause == "refused"]
    if refused or started == 1:
        return (refused or lost)[-1]
    causes = Counter(error.cause for error in lost)
    told = ", ".join(f"{cause} {count}" for cause, count in sorted(causes.items()))
    message = f"{len(lost)} of {started} samples were lost ({told}); the last: {lost[-1]}"
    if len(causes) > 1:
        return BackendError(message, 502)
    return BackendError(message, lost[-1].status, cause=lost[-1].cause, retry_after=lost[-1].retry_after)
