"""GenSelect (Moshkov et al. 2025, arXiv:2504.16891; Toshniwal et al. 2025, arXiv:2507.17797): the model picks one."""

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies import select
from strategies.base import Strategy
from strategies.protocols import BackendError
from strategies.run import Run
from strategies.tasks import together
from strategies.types import Candidate
from strategies.verifiers.choosing import choose


class GenSelect(Strategy):
    """Sample `n` responses; where their answers differ, the model reads up to `window` of them at once and picks one.

    The winners of windows meet again until one is left. What did not end, or would not fit, is not read.
    """

    name: Literal["gen_select"] = "gen_select"
    n: int = Field(8, ge=1, description="responses to draw")
    window: int = Field(8, ge=2, le=8, description="responses that the model reads at once")
    think_tokens: int = Field(0, ge=0, description="tokens that the model may think aloud before it picks")
    only_when_split: bool = Field(True, description="whether a vote that all agree on is left as it is")

    @property
    def widest(self) -> int:
        return self.n

    async def explore(self, root: Candidate, run: Run) -> None:
        drawn = await run.extend(root, n=self.n, logprobs=0)
        run.note(select.counted(drawn))
        if self.only_when_split and len(select.tally(drawn)) == 1:
            return
        left = select.shuffled(self._readable(drawn), root.id)
        if len(left) < 2:
            return
        while len(left) > 1:
            left = await together(lambda window: self._winner(run, window), self._windows(left))
            run.note(f"picked {', '.join(c.id for c in left)}", *left)
        run.choose(left[0])

    def _readable(self, drawn: Sequence[Candidate]) -> list[Candidate]:
        """Those that ended and of which a window fits into what the model can read, with room for the question."""
        ended = [c for c in select.complete(drawn) if c.finish == "stop"] if drawn else []
        at_once = min(self.window, self.n)
        return [c for c in ended if c.tokens * at_once <= 0.75 * (c.prompt.room or math.inf)]

    def _windows(self, left: Sequence[Candidate]) -> list[Sequence[Candidate]]:
        """Even parts of at most a window."""
        parts = math.ceil(len(left) / self.window)
        return [left[len(left) * part // parts : len(left) * (part + 1) // parts] for part in range(parts)]

    async def _winner(self, run: Run, window: Sequence[Candidate]) -> Candidate:
        """The one that the model picks; the majority's where it cannot."""
        if len(window) == 1:
            return window[0]
        try:
            place = await choose(run.ask, window, self.think_tokens)
        except BackendError as error:
            run.note(f"the model could not choose: {error}", *window)
            place = None
        return select.majority(window) if place is None else window[place]

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.majority(found)
