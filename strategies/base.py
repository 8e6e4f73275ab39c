"""A strategy is its settings, an interruptible search, and a pure choice."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import anyio.lowlevel
from pydantic import BaseModel, ConfigDict, Field

from strategies import select
from strategies.answers import spoken
from strategies.events import Answered, Started
from strategies.meter import Meter
from strategies.prompts import Wording
from strategies.protocols import (
    Backend,
    BackendError,
    Compute,
    Observer,
    Reward,
    Scorer,
    Verifier,
    inline,
    no_scorers,
)
from strategies.run import GROUP, Run
from strategies.types import Candidate, Sampling


class Strategy(BaseModel, ABC):
    """What all strategies take; each adds a `name` and settings of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    many: ClassVar[bool] = True
    """Whether it draws several samples, which need a temperature to differ."""
    whole: ClassVar[bool] = True
    """Whether its answers are sampled in one piece, as a tool call or a JSON document has to be."""
    once: ClassVar[bool] = False
    """Whether it asks the model for one response and no more: its engine is then asked as any chat asks it."""
    name: str
    prompt: str | Wording = Field(
        "zero_shot", description="what to tell the model about thinking and the answer's form"
    )
    temperature: float | None = Field(None, gt=0, le=2, description="takes the place of the request's temperature")
    top_p: float | None = Field(None, gt=0, le=1, description="takes the place of the request's top_p")

    @abstractmethod
    async def explore(self, root: Candidate, run: Run) -> None:
        """Search for answers to `root`. May be cut at any await; whatever has grown stays found."""

    @property
    def widest(self) -> int:
        """The most sequences that it has in flight at once."""
        return 1

    @property
    def judges(self) -> bool:
        """Whether a verifier judges its candidates."""
        return False

    def select(self, found: Sequence[Candidate]) -> Candidate:
        """Choose among what was found. Pure, and total on any non-empty list."""
        return select.best(select.complete(found))

    def sampling(self, asked: Sampling) -> Sampling:
        """The caller's wishes, and where they leave off, or all samples would be equal, this strategy's.

        A strategy of many samples draws them at temperature 0.8 where the caller names none, or 0.
        """
        temperature = self.temperature or asked.temperature
        if self.many:
            temperature = temperature or 0.8
        return replace(asked, temperature=temperature, top_p=self.top_p if self.top_p is not None else asked.top_p)


class Judged(Strategy):
    """A strategy that a verifier guides."""

    verifier: str | dict[str, Any] | None = Field(
        None, description="a verifier's name, or an object of its name and settings; none: the server's default"
    )

    @property
    def judges(self) -> bool:
        return True

    def select(self, found: Sequence[Candidate]) -> Candidate:
        """The best by score; where nothing could be judged, the answer that most agree on."""
        whole = select.complete(found)
        return select.best(whole) if any(candidate.score for candidate in whole) else select.majority(whole)


async def execute(
    strategy: Strategy,
    root: Candidate,
    backend: Backend,
    meter: Meter,
    *,
    verifier: Verifier | None = None,
    sampling: Sampling | None = None,
    observe: Observer = lambda event: None,
    watched: bool = False,
    group: int = GROUP,
    compute: Compute = inline,
    scorers: Callable[[Reward], Scorer] = no_scorers,
    quorum: float = 0.0,
) -> Candidate:
    """Explore until done or out of budget, then select from whatever was found.

    Nothing found gives the empty root, finished as "cut". Raises BackendError where all there was to find was lost, or
    less than the share `quorum` of the sequences started is left, or what is left says nothing.
    """
    observe(Started(root.id, strategy.name, strategy.judges))
    with meter.cutting() as scope:
        run = Run(
            backend,
            meter,
            scope,
            root=root.id,
            verifier=verifier,
            sampling=sampling,
            observe=observe,
            watched=watched,
            group=group,
            compute=compute,
            scorers=scorers,
            quorum=quorum,
        )
        await anyio.lowlevel.checkpoint()  # runs that share a meter are all known to it before one takes a share
        try:
            await strategy.explore(root, run)
        except BackendError as error:
            if not any(spoken(candidate).strip() or candidate.calls for candidate in run.found):
                raise
            run.degrade(f"the search ended early: {error}")
    run.check()
    await run.equate()
    found = run.found or (replace(root, finish="cut"),)
    chosen = run.answered or strategy.select(found)
    agreement = select.agreement(select.leaves(found), chosen) if len(found) > 1 else None
    observe(Answered(root.id, chosen, meter.cut, meter.spent, agreement))
    return chosen
