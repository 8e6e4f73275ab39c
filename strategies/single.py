"""One sample: the model as it is."""

from typing import ClassVar, Literal

from pydantic import Field

from strategies.base import Strategy
from strategies.prompts import Wording
from strategies.run import Run
from strategies.types import Candidate


class Single(Strategy):
    """One sample, streamed as it comes: the model as it is."""

    many: ClassVar[bool] = False
    once: ClassVar[bool] = True
    name: Literal["single"] = "single"
    prompt: str | Wording = Field("none", description="what to tell the model about thinking and the answer's form")

    async def explore(self, root: Candidate, run: Run) -> None:
        await run.answer(root)
