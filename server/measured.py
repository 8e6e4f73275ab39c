"""One request, as the metrics tell of it: an observer of its events, and a sum when it ends, however it does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from prometheus_client import Counter

from server.metrics import Metrics
from server.resolve import Plan
from server.samples import Fates, Savings
from strategies.events import Answered, Closed, Event, Judged, Lost, Note, Opened, Pruned, Scored, Token
from strategies.meter import Meter
from strategies.protocols import Observer
from strategies.types import Candidate

OPEN, CLOSE = "<think>", "</think>"


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
        self._verifier = plan.judge["name"] if plan.judge else ""
        self._fates, self._beginning = Fates(), Beginning()
        self._savings = Savings(getattr(plan.strategy, "n", None) if plan.strategy.whole else None)
        self._answer = self._thought = 0
        self._began_at = time.monotonic()
        self._working = self._answering = self._replying = False

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began_at

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
        seconds = self._seconds
        metrics.seconds.at(*run).observe(seconds)
        for fate, count in self._fates.counted().items():
            metrics.samples.at(*run, fate).inc(count)
        add(metrics.saved.at(*run), self._savings.tokens())
        self._count_tokens()
        self._count_budget(seconds)

    def _count_tokens(self) -> None:
        """By what they were for: what is sampled and neither answers nor led there is discarded."""
        metrics, spent = self._metrics, self._meter.spent
        thinking = min(self._thought, spent.sampled)
        answer = min(self._answer, spent.sampled - thinking)
        discarded = spent.sampled - thinking - answer
        purposes = {"answer": answer, "thinking": thinking, "discarded": discarded, "verifier": spent.verifier}
        for purpose, tokens in purposes.items():
            add(metrics.tokens.at(*self._run, purpose), tokens)
        hit = min(spent.cached, spent.prompt)
        add(metrics.prompt_tokens.at(self._run[1], "hit"), hit)
        add(metrics.prompt_tokens.at(self._run[1], "miss"), spent.prompt - hit)
        metrics.key_tokens.at(self._key, "prompt").inc(spent.prompt)
        metrics.key_tokens.at(self._key, "completion").inc(spent.tokens)

    def _count_budget(self, seconds: float) -> None:
        spent, budget, metrics = self._meter.spent, self._meter.budget, self._metrics
        shares = {
            "tokens": spent.tokens / budget.tokens,
            "samples": spent.samples / budget.samples,
            "seconds": seconds / budget.seconds,
        }
        for limit, share in shares.items():
            metrics.budget.at(self._run[0], limit).observe(min(1.0, share))
        if self._meter.cut:
            metrics.cuts.at(*self._run, self._meter.cut).inc()


def add(counter: Counter, amount: float) -> None:
    """Count so much; nothing takes no lock."""
    if amount:
        counter.inc(amount)
