"""One request at work: its runs, on one meter."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from server.backends.marked import Marked
from server.backends.pool import Pool
from server.backends.pooling import Scorers
from server.metrics import Metrics
from server.pace import Pace, Paced
from server.reply import Reply
from server.resolve import Plan
from server.workers import Turn
from strategies.base import execute
from strategies.events import Event
from strategies.protocols import Compute, Observer
from strategies.tasks import together
from strategies.types import Candidate


class Work:
    """What a reply tells about: `await work(observe)` does all of it."""

    def __init__(
        self,
        plan: Plan,
        reply: Reply,
        pool: Pool,
        metrics: Metrics,
        compute: Compute,
        scorers: Scorers,
        marks: Mapping[str, Any],
        pace: Pace,
    ) -> None:
        self.plan, self.reply, self.metrics = plan, reply, metrics
        self.compute, self.scorers = Turn(compute), scorers
        self.pace = pace
        self.backend = Paced(Marked(pool.backend(plan.engine_model), marks), pace)

    async def __call__(self, observe: Observer) -> None:
        plan, meter = self.plan, self.reply.meter
        labels = plan.strategy.name, plan.engine_model
        count = self.metrics.observer(*labels)

        def tell(event: Event) -> None:
            count(event)
            observe(event)

        async def run(root: Candidate) -> None:
            await execute(
                plan.strategy,
                root,
                self.backend,
                meter,
                verifier=plan.verifier,
                sampling=plan.sampling,
                observe=tell,
                watched=plan.stream,
                compute=self.compute,
                scorers=self.scorers,
                quorum=plan.quorum,
            )

        with self.metrics.request(*labels, meter):
            prompt = plan.roots[0].prompt
            with meter.cutting():
                prompt = await self.backend.render(prompt)
            self.reply.prompt_tokens = len(prompt.ids or ())
            await together(run, [replace(root, prompt=prompt) for root in plan.roots])
