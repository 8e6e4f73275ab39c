"""Early exit: ask a thinking model for its answer now and then, and stop the thinking once that no longer changes.

Probes as in Dynasor (Fu et al. 2024, arXiv:2412.20993); DEER (Yang et al. 2025, arXiv:2504.15895) is of its family.
"""

import re
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from strategies.answers import answer_of
from strategies.base import Strategy
from strategies.protocols import BackendError
from strategies.run import Run
from strategies.thoughts import CLOSE, FINAL, closed, ended, opened
from strategies.types import Candidate

PROBE = "The final answer is \\boxed{"
PROBE_TOKENS = 20
DOUBT = re.compile(r"\b(wait|hold|but|okay|no|hmm)\b", re.IGNORECASE)
"""Words of a model that is not sure."""


class EarlyExit(Strategy):
    """Think in chunks of `every` tokens, probe the answer after each, and answer once `stable` probes agree.

    A probe and the next chunk grow at once, so an exit costs at most one chunk too many, and nobody waits for probes.
    """

    many: ClassVar[bool] = False
    whole: ClassVar[bool] = False
    name: Literal["early_exit"] = "early_exit"
    every: int = Field(64, ge=1, description="tokens of thinking between two probes")
    stable: int = Field(3, ge=1, description="how many probes in a row have to give the same answer")
    answer_tokens: int = Field(256, ge=64, description="tokens kept for the answer, of at most half the room there is")

    @property
    def widest(self) -> int:
        return 2

    async def explore(self, root: Candidate, run: Run) -> None:
        path = opened(await run.rendered(root))
        kept = min(self.answer_tokens + len(FINAL), run.room(path) // 2)
        probed: list[str | None] = []
        while not (ended(path) or run.late or run.last) and (left := run.room(path) - kept) > 0:
            most = min(self.every, left)
            async with run.race(path, step=CLOSE, step_tokens=most, until=lambda growth: run.late) as growing:
                if path.tokens and not run.last:
                    probed.append(await probe(path, run))
                    if settled(probed, self.stable):
                        break
                grown = [child async for child in growing]
            if not grown:  # another choice has started the last sequence
                break
            [path] = grown
        sure = settled(probed, self.stable)
        end = f"settled on {probed[-1]}" if sure else "it ended by itself" if ended(path) else "out of room"
        run.note(f"thought for {path.tokens} tokens: {end}", thinking=path.tokens, probes=len(probed), settled=sure)
        await run.answer(closed(path, "" if sure or ended(path) else FINAL))

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return super().select([c for c in found if PROBE not in c.text] or found)


async def probe(path: Candidate, run: Run) -> str | None:
    """What the model would answer now; None where it gives no answer, or doubts it."""
    try:
        grown = await run.extend(closed(path, PROBE), step_tokens=PROBE_TOKENS, temperature=0.0)
    except BackendError:
        return None
    run.prune(grown, f"a probe after {path.tokens} tokens")
    sure = [child for child in grown if not DOUBT.search(child.steps[-1].text)]
    return answer_of(sure[0]) if sure else None


def settled(probed: Sequence[str | None], stable: int) -> bool:
    """Whether the last `stable` probes gave one and the same answer."""
    last = set(probed[-stable:])
    return len(probed) >= stable and len(last) == 1 and None not in last
