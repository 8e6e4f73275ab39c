"""Budget forcing (Muennighoff et al. 2025, arXiv:2501.19393): a least and a most of thinking before one answer."""

from typing import ClassVar, Literal

from pydantic import Field

from strategies.base import Strategy
from strategies.run import Run
from strategies.thoughts import CLOSE, FINAL, WAIT, closed, ended, opened, reopened
from strategies.types import Candidate


class BudgetForcing(Strategy):
    """Think for at least `min_thinking` tokens, "Wait" taking the place of an early end, and at most `max_thinking`.

    For models that do not think by themselves the thinking is opened. The answer always has room.
    """

    many: ClassVar[bool] = False
    whole: ClassVar[bool] = False
    name: Literal["budget_forcing"] = "budget_forcing"
    min_thinking: int = Field(512, ge=0, description='thinking that ends before so many tokens goes on with "Wait"')
    max_thinking: int | None = Field(None, ge=1, description="tokens of the longest thinking; none: as there is room")
    waits: int = Field(1, ge=0, description='how often to say "Wait" at most')
    answer_tokens: int = Field(256, ge=64, description="tokens kept for the answer, of at most half the room there is")

    async def explore(self, root: Candidate, run: Run) -> None:
        path = opened(await run.rendered(root))
        kept = min(self.answer_tokens + len(FINAL), run.room(path) // 2)
        waits = 0
        while not (run.late or run.last) and (left := self.left(path, run.room(path) - kept)) > 0:
            grown = await run.extend(path, step=CLOSE, step_tokens=left, until=lambda growth: run.late)
            if not grown:  # another choice has started the last sequence
                break
            [path] = grown
            if not ended(path) or waits == self.waits or path.tokens >= self.min_thinking:
                break
            waits += 1
            run.note(f"wait: the thinking ended after {path.tokens} of at least {self.min_thinking} tokens")
            path = reopened(path, WAIT)
        end = "by itself" if ended(path) else "for us"
        run.note(f"thought for {path.tokens} tokens; ended {end}", thinking=path.tokens, waits=waits)
        await run.answer(closed(path, "" if ended(path) else FINAL))

    def left(self, path: Candidate, room: int) -> int:
        """How many tokens the thinking may still take."""
        return room if self.max_thinking is None else min(room, self.max_thinking - path.tokens)
