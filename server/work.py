"""One request at work: its runs, on one meter."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from server.backends.marked import Marked
from server.backends.pool import Pool
from server.backends.pooling import Scorers
from server.backends.traced import Traced
from server.measured import Measured
from server.observed import Account
from server.pace import Outbox, Paced
from server.reply import Reply
from server.resolve import Plan
from server.workers import Turn
from strategies.base import execute
from strategies.events import Event
from strategies.protocols import Backend, Compute, Observer
from strategies.tasks import together
from strategies.types import Candidate


class Work:
    """What a reply tells about: `await work(observe)` does all of it."""

    def __init__(
        self,
        plan: Plan,
        reply: Reply,
        pool: Pool,
        measured: Measured,
        compute: Compute,
        scorers: Scorers,
        marks: Mapping[str, Any],
        outbox: Outbox,
        account: Account,
    ) -> None:
        self.plan, self.reply, self.measured = plan, reply, measured
        self.compute, self.scorers = Turn(compute), scorers
        self.outbox, self.account = outbox, account
        engines = pool.backend(plan.engine_model)
        marked: Backend = Marked(engines, marks) if marks else engines
        self.backend: Backend = Paced(marked, outbox) if plan.stream else marked

    async def __call__(self, observe: Observer) -> None:
        plan, meter = self.plan, self.reply.meter
        with self.account.work(self.reply) as spans, self.measured.work() as count:
            if spans:
                observe, self.backend = both(spans, observe), Traced(self.backend, spans.header)
            prompt = plan.roots[0].prompt
            with meter.cutting():
                prompt = await self.backend.render(prompt)
            self.reply.prompt_tokens = len(prompt.ids or ())
            roots = [replace(root, prompt=prompt) for root in plan.roots]
            await together(partial(self._run, both(count, observe)), roots)

    async def _run(self, observe: Observer, root: Candidate) -> None:
        plan = self.plan
        await execute(
            plan.strategy,
            root,
            self.backend,
            self.reply.meter,
            verifier=plan.verifier,
            sampling=plan.sampling,
            observe=observe,
            watched=plan.stream,
            compute=self.compute,
            scorers=self.scorers,
            quorum=plan.quorum,
        )


def both(one: Observer, other: Observer) -> Observer:
    """Tells two."""

    def tell(event: Event) -> None:
        one(event)
        other(event)

    return tell
