"""One request, as the metrics tell of it: an observer of its events, and a sum when it ends, however it does."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import anyio

from server.metrics import Metrics
from server.resolve import Plan
from strategies.events import Answered, Closed, Event, Judged, Lost, Note, Opened, Pruned, Scored, Token
from strategies.meter import Meter
from strategies.protocols import Observer
from strategies.types import Candidate

Fate = Literal["used", "pruned", "early_stopped", "aborted", "lost"]
OPEN, CLOSE = "<think>", "</think>"


class Fates:
    """What has become of every sequence, by id."""

    def __init__(self) -> None:
        self._of: dict[str, Fate] = {}

    def opened(self, id: str) -> None:
        self._of[id] = "aborted"  # unless it comes to another end

    def closed(self, event: Closed) -> None:
        cut: Fate = "early_stopped" if event.early else "aborted"
        self._of[event.candidate.id] = cut if event.candidate.finish == "cut" else "used"

    def lost(self, id: str) -> None:
        self._of[id] = "lost"

    def pruned(self, ids: tuple[str, ...]) -> None:
        self._of.update((id, "pruned") for id in ids if self._of.get(id) == "used")

    def answered(self, id: str) -> None:
        """This one and all that it grew from are the answer, whatever else they are."""
        while id:
            if self._of.get(id, "lost") != "lost":
                self._of[id] = "used"
            id = id.rpartition(".")[0]

    def started(self, root: str) -> int:
        """How many began below a root."""
        return sum(id.startswith(f"{root}.") for id in self._of)

    def counted(self) -> Counter[Fate]:
        return Counter(self._of.values())


class Savings:
    """An estimate of the tokens that a search did not sample for it stopped early.

    Whole responses that were stopped, or never begun though the strategy may draw `most`, would have become as long as
    the mean of those that ended by themselves. Step searches tell their own estimate.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._ended: list[int] = []
        self._stopped: list[int] = []
        self._told = self._never_begun = 0

    def closed(self, event: Closed) -> None:
        if event.early:
            self._stopped.append(event.candidate.tokens)
        elif event.candidate.finished:
            self._ended.append(event.candidate.tokens)

    def noted(self, event: Note, started: int) -> None:
        self._told += event.facts.get("tokens_saved", 0)
        if event.facts.get("saved") and self._most:
            self._never_begun += self._most - started

    def tokens(self) -> float:
        """0 where nothing has ended by itself."""
        if not self._most or not self._ended:
            return self._told
        mean = sum(self._ended) / len(self._ended)
        return self._told + self._never_begun * mean + sum(max(0.0, mean - tokens) for tokens in self._stopped)


class Beginning:
    """Finds the first token of an answer that is told while it grows: what the model thinks before it is none."""

    def __init__(self) -> None:
        self._thinks: dict[str, bool | None] = {}
        self._said = ""

    def opened(self, event: Opened) -> None:
        if event.thinks is not False:
            self._thinks[event.id] = event.thinks

    def found(self, token: Token) -> bool:
        """Whether the answer has begun with this token of it."""
        thinks = self._thinks.get(token.id, False)
        self._said += token.text
        said = self._said.lstrip()
        if thinks is None:
            if len(said) < len(OPEN) and OPEN.startswith(said):
                return False
            thinks = self._thinks[token.id] = said.startswith(OPEN)
        if thinks:
            _, closed, said = said.rpartition(CLOSE)
            self._said = self._said if closed else self._said[-len(CLOSE) :]
            return bool(closed and said.strip())
        return bool(said or token.calls)


class Measured:
    """A request from its arrival on. `work` observes it; `first_byte` is to be called when its reply begins."""

    def __init__(self, metrics: Metrics, plan: Plan, key: str, meter: Meter) -> None:
        self._metrics, self._key, self._meter = metrics, key, meter
        self._run = plan.strategy.name, plan.engine_model
        verifier = plan.described.verifier
        self._verifier = verifier["name"] if verifier else ""
        self._fates, self._beginning = Fates(), Beginning()
        self._savings = Savings(getattr(plan.strategy, "n", None) if plan.strategy.whole else None)
        self._answer = self._thought = 0
        self._began_at = anyio.current_time()
        self._working = self._answering = self._replying = False

    @property
    def _seconds(self) -> float:
        return anyio.current_time() - self._began_at

    @contextmanager
    def work(self) -> Iterator[Observer]:
        """Its work, from beginning to end; yields what counts what happens in it."""
        outcome, running = "error", self._metrics.running.at()
        self._working = True
        running.inc()
        try:
            yield self._observe
            outcome = "cut" if self._meter.cut else "ok"
        except anyio.get_cancelled_exc_class():
            outcome = "gone"
            raise
        finally:
            running.dec()
            self._end(outcome)

    def first_byte(self) -> None:
        """A good reply begins. One to a request whose work another one does is none of ours."""
        if self._working and not self._replying:
            self._replying = True
            self._metrics.first_byte.at(*self._run).observe(self._seconds)

    def _observe(self, event: Event) -> None:
        match event:
            case Token():
                if event.answer and not self._answering and self._beginning.found(event):
                    self._answers()
            case Opened():
                self._fates.opened(event.id)
                self._beginning.opened(event)
            case Closed():
                self._fates.closed(event)
                self._savings.closed(event)
            case Lost():
                self._fates.lost(event.id)
            case Pruned():
                self._fates.pruned(event.ids)
            case Scored(Candidate(score=score)) if score:
                self._metrics.scores.at(self._verifier).observe(score.value)
            case Judged():
                self._metrics.judging.at(self._verifier).observe(event.seconds)
            case Note():
                self._savings.noted(event, self._fates.started(event.root))
            case Answered():
                self._answered(event)

    def _answers(self) -> None:
        self._answering = True
        self._metrics.first_answer.at(*self._run).observe(self._seconds)

    def _answered(self, event: Answered) -> None:
        if event.candidate.tokens and not self._answering:
            self._answers()
        self._fates.answered(event.candidate.id)
        self._thought += event.candidate.thought
        self._answer += event.candidate.tokens - event.candidate.thought
        if event.agreement is not None:
            self._metrics.agreement.at(*self._run).observe(event.agreement)

    def _end(self, outcome: str) -> None:
        metrics, run = self._metrics, self._run
        metrics.requests.at(*run, outcome).inc()
        metrics.key_requests.at(self._key, outcome).inc()
        metrics.seconds.at(*run).observe(self._seconds)
        for fate, count in self._fates.counted().items():
            metrics.samples.at(*run, fate).inc(count)
        metrics.saved.at(*run).inc(self._savings.tokens())
        self._count_tokens()
        self._count_budget()

    def _count_tokens(self) -> None:
        """By what they were for: what is sampled and neither answers nor led there is discarded."""
        metrics, spent = self._metrics, self._meter.spent
        discarded = spent.sampled - self._answer - self._thought
        purposes = {"answer": self._answer, "thinking": self._thought, "discarded": discarded}
        for purpose, tokens in (purposes | {"verifier": spent.verifier}).items():
            metrics.tokens.at(*self._run, purpose).inc(tokens)
        metrics.prompt_tokens.at(self._run[1], "hit").inc(spent.cached)
        metrics.prompt_tokens.at(self._run[1], "miss").inc(spent.prompt - spent.cached)
        metrics.key_tokens.at(self._key, "prompt").inc(spent.prompt)
        metrics.key_tokens.at(self._key, "completion").inc(spent.tokens)

    def _count_budget(self) -> None:
        spent, budget, metrics = self._meter.spent, self._meter.budget, self._metrics
        shares = {
            "tokens": spent.tokens / budget.tokens,
            "samples": spent.samples / budget.samples,
            "seconds": self._seconds / budget.seconds,
        }
        for limit, share in shares.items():
            metrics.budget.at(self._run[0], limit).observe(min(1.0, share))
        if self._meter.cut:
            metrics.cuts.at(*self._run, self._meter.cut).inc()
