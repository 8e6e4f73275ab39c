"""What happened during a request, as callers may see it: the `ponder` object of a reply, and its live events."""

from collections import Counter
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from strategies import select
from strategies.answers import answer_of
from strategies.events import (
    Answered,
    Closed,
    Event,
    Judged,
    Judging,
    Lost,
    Note,
    Opened,
    Pruned,
    Scored,
    Started,
    Token,
)
from strategies.types import Candidate, Cause, Finish, Limit, Spent


class Shape(BaseModel):
    """A part of the trace."""

    model_config = ConfigDict(extra="forbid")


class PlanTrace(Shape):
    """What the request was resolved to."""

    model: str
    strategy: dict[str, Any] = Field(description="its name and all its settings")
    verifier: dict[str, Any] | None = Field(description="the one that judged, where the strategy judges")
    sampling: dict[str, Any]
    budget: dict[str, float] = Field(description="tokens, samples, seconds")
    format: str
    quorum: float = Field(description="the share of the sequences that has to be left for an answer")


class StepTrace(Shape):
    """One step of a path, with `return_trace: "full"`."""

    text: str
    token_ids: list[int]
    score: float | None = None
    logprobs: list[float] = Field(description="of each sampled token, where the strategy asked for them")


class CandidateTrace(Shape):
    """One sequence: the path from the root to it."""

    id: str
    parent: str
    text: str
    answer: str | None = Field(description="as it votes; null where it abstains")
    score: float | None = None
    tokens: int = Field(description="of its whole path")
    finish: Finish | None
    pruned: bool = Field(False, description="whether the search dropped it")
    steps: list[StepTrace] | None = None


class LostTrace(Shape):
    id: str
    error: str
    cause: Cause


class SamplesTrace(Shape):
    """What became of the sequences that were started."""

    requested: int
    ok: int
    lost: dict[Cause, int] = Field(description="how many, by cause")


class Flags(Shape):
    """The `ponder` object of a reply without a trace: there only where the answer had to do without something."""

    samples: SamplesTrace
    degraded: list[str] = Field(description="what else the search had to do without, its verifier for one")


class ChoiceTrace(Shape):
    """How one choice came about."""

    index: int
    chosen: str = Field(description="the id of the candidate that answers")
    answer: str | None
    agreement: float | None = Field(description="the share of the votes for it; null where nothing could be parsed")
    votes: dict[str, int] = Field(description="of the candidates that are not pruned")
    facts: dict[str, Any] = Field(description="figures that the strategy told of its search")


class SpentTrace(Shape):
    """Tokens by purpose, and what it took to sample them."""

    answer: int = Field(description="tokens of the chosen candidates")
    reasoning: int = Field(description="tokens of all other samples")
    verifier: int
    samples: int = Field(description="sequences started")
    calls: int = Field(description="requests to engines")
    prompt: int = Field(description="prompt tokens the engines read, all calls together")
    cached: int = Field(description="of these, tokens from their prefix caches")


class Trace(Flags):
    """The `ponder` object of a reply with a trace."""

    plan: PlanTrace
    choices: list[ChoiceTrace]
    candidates: list[CandidateTrace]
    notes: list[str]
    lost: list[LostTrace]
    tokens: SpentTrace
    cut: Limit | None = Field(description="the limit that ended the search, where one did")
    seconds: float


class TraceEvent(Shape):
    """One event while it happens: the `ponder` object of a chunk without choices."""

    event: Literal[
        "started", "opened", "token", "closed", "lost", "scored", "judging", "judged", "pruned", "note", "answered"
    ]
    id: str
    parent: str | None = None
    strategy: str | None = Field(None, description="of `started`")
    text: str | None = Field(None, description="of `token`, and what a `note` says, or why `pruned`")
    error: str | None = Field(None, description="of `lost`, and of `judged` where it failed")
    cause: Cause | None = Field(None, description="of `lost`: the kind of failure")
    answer: str | None = Field(None, description="of `closed`: as it votes")
    score: float | None = None
    tokens: int | None = Field(None, description="that arrived; of `answered`: all of the request's so far")
    finish: Finish | None = None
    ids: list[str] | None = Field(
        None, description="of `judging`, `judged`, `pruned`, `note`: the candidates concerned"
    )
    seconds: float | None = Field(None, description="of `judged`: how long the verifier took over them")
    facts: dict[str, Any] | None = Field(None, description="of a `note`: figures")
    chosen: str | None = Field(None, description="of `answered`: the candidate that answers")


def parent_of(id: str) -> str:
    """The id of the path that `id` grew from."""
    return id.rpartition(".")[0]


def told(event: Event) -> dict[str, Any]:
    """An event as callers see it: a `TraceEvent` without what is null."""
    match event:
        case Token(id, text, tokens):  # most events, so no shape is made to be taken apart again
            return {"event": "token", "id": id, "text": text, "tokens": tokens}
        case Started(id, strategy):
            shape = TraceEvent(event="started", id=id, strategy=strategy)
        case Opened(id, parent):
            shape = TraceEvent(event="opened", id=id, parent=parent)
        case Closed(c):
            grown = c.steps[-1].tokens if c.steps else 0
            shape = TraceEvent(event="closed", id=c.id, answer=answer_of(c), tokens=grown, finish=c.finish)
        case Lost(id, error, tokens, cause):
            shape = TraceEvent(event="lost", id=id, error=error, tokens=tokens, cause=cause)
        case Scored(c):
            shape = TraceEvent(event="scored", id=c.id, score=c.score.value if c.score else None)
        case Judging(root, ids):
            shape = TraceEvent(event="judging", id=root, ids=list(ids))
        case Judged(root, ids, seconds, failure):
            shape = TraceEvent(event="judged", id=root, ids=list(ids), seconds=round(seconds, 6), error=failure)
        case Pruned(root, text, ids):
            shape = TraceEvent(event="pruned", id=root, text=text, ids=list(ids))
        case Note(root, text, ids, facts):
            shape = TraceEvent(event="note", id=root, text=text, ids=list(ids), facts=dict(facts) or None)
        case Answered(id, c, _, spent):
            shape = TraceEvent(event="answered", id=id, chosen=c.id, tokens=spent.tokens, finish=c.finish)
    return shape.model_dump(exclude_none=True)


class Recorder:
    """Gathers the events of one request into its trace."""

    def __init__(self, full: bool = False) -> None:
        self.full = full
        self.candidates: dict[str, Candidate] = {}
        self.notes: list[str] = []
        self.opened = 0
        self.lost: list[LostTrace] = []
        self.degraded: list[str] = []
        self.pruned: set[str] = set()
        self.facts: dict[str, dict[str, Any]] = {}
        self.answered: dict[str, Answered] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Token():  # most events; their candidate's end has all of them
                pass
            case Opened():
                self.opened += 1
            case Closed(candidate) | Scored(candidate):
                self.candidates[candidate.id] = candidate
            case Pruned(_, text, ids):
                self.notes.append(text)
                self.pruned.update(ids)
            case Note(root, text, _, facts, degraded):
                self.notes.append(text)
                self.degraded += [text] * degraded
                self.facts.setdefault(root, {}).update(facts)
            case Lost(id, error, _, cause):
                self.lost.append(LostTrace(id=id, error=error, cause=cause))
            case Answered(id):
                self.answered[id] = event

    @property
    def answer_tokens(self) -> int:
        """Tokens of the chosen candidates, their own thinking left out."""
        return sum(event.candidate.tokens - event.candidate.thought for event in self.answered.values())

    @property
    def flagged(self) -> bool:
        """Whether the caller has to know what the answer did without."""
        return bool(self.lost or self.degraded)

    @property
    def flags(self) -> Flags:
        causes = dict(sorted(Counter(lost.cause for lost in self.lost).items()))
        samples = SamplesTrace(requested=self.opened, ok=self.opened - len(self.lost), lost=causes)
        return Flags(samples=samples, degraded=self.degraded)

    def trace(self, plan: PlanTrace, spent: Spent, cut: Limit | None, seconds: float) -> Trace:
        """The whole of it."""
        ordered = sorted(self.candidates.values(), key=lambda c: path_of(c.id))
        return Trace(
            **dict(self.flags),
            plan=plan,
            choices=[self._choice(event) for _, event in sorted(self.answered.items(), key=lambda one: int(one[0]))],
            candidates=[self._candidate(c) for c in ordered],
            notes=self.notes,
            lost=self.lost,
            tokens=SpentTrace(
                answer=self.answer_tokens,
                reasoning=spent.sampled - self.answer_tokens,
                verifier=spent.verifier,
                samples=spent.samples,
                calls=spent.calls,
                prompt=spent.prompt,
                cached=spent.cached,
            ),
            cut=cut,
            seconds=round(seconds, 3),
        )

    def _choice(self, event: Answered) -> ChoiceTrace:
        grown = [c for c in self.candidates.values() if c.id.startswith(f"{event.id}.")]
        facts = self.facts.get(event.id, {})
        equal = facts.get("equal", {})
        grown = [replace(c, votes_for=equal.get(answer_of(c))) for c in grown]
        found = select.leaves([c for c in grown if c.id not in self.pruned] or grown)
        votes = {answer: int(count) for answer, count in select.tally(found).items()}
        return ChoiceTrace(
            index=int(event.id),
            chosen=event.candidate.id,
            answer=answer_of(event.candidate),
            agreement=select.agreement(found, event.candidate),
            votes=votes,
            facts=facts,
        )

    def _candidate(self, candidate: Candidate) -> CandidateTrace:
        return CandidateTrace(
            id=candidate.id,
            parent=parent_of(candidate.id),
            text=candidate.text,
            answer=answer_of(candidate),
            score=candidate.score.value if candidate.score else None,
            tokens=candidate.tokens,
            finish=candidate.finish,
            pruned=candidate.id in self.pruned,
            steps=self._steps(candidate) if self.full else None,
        )

    def _steps(self, candidate: Candidate) -> list[StepTrace]:
        """The steps of a path, each with the newest value of the score that it got when it was the path's end.

        Words that nobody sampled were never the end of a path.
        """
        id, ends = candidate.id, {}
        for at in reversed([at for at, step in enumerate(candidate.steps) if step.tokens]):
            ends[at], id = self.candidates.get(id), parent_of(id)
        scores = [
            end.score.newest if (end := ends.get(at)) and end.score else None for at in range(len(candidate.steps))
        ]
        return [
            StepTrace(
                text=step.text,
                token_ids=list(step.ids),
                score=score,
                logprobs=[token.logprob for token in step.logprobs],
            )
            for step, score in zip(candidate.steps, scores, strict=True)
        ]


def path_of(id: str) -> list[tuple[int, str]]:
    """An id as something to sort by: "0.10" after "0.9"."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in id.split(".")]
