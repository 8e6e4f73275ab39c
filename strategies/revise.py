"""Sequential revision (Snell et al. 2024, arXiv:2408.03314; Self-Refine, Madaan et al. 2023, arXiv:2303.17651)."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from strategies import select, stopping
from strategies.answers import spoken
from strategies.base import Strategy
from strategies.prompts import again
from strategies.run import Run
from strategies.types import Candidate

SHOWN = 16_000
"""Characters of an attempt that are shown in a further prompt."""
REVISE = (
    "Check this answer as if somebody else had given it: every step and every calculation. Then answer my question "
    "again in full, correcting what was wrong, in the form that was asked for."
)


class Revise(Strategy):
    """Answer, then up to `rounds` times again with the former attempts in sight; a vote over all of them decides.

    They vote because a revision may spoil a right answer as well as mend a wrong one; where they tie, the likelier
    answer wins. The chain ends early once the leader cannot be overtaken.
    """

    name: Literal["revise"] = "revise"
    rounds: int = Field(2, ge=1, description="revisions after the first answer")

    async def explore(self, root: Candidate, run: Run) -> None:
        chain = await run.extend(root, logprobs=0)
        for left in range(self.rounds, 0, -1):
            if not chain or chain[-1].finish == "cut" or stopping.decided(select.tally(chain), left):
                break
            chain += await run.extend(revision(chain[-1]), logprobs=0)
        run.note(f"{len(chain)} attempts; {select.counted(chain)}", attempts=len(chain))

    def select(self, found: Sequence[Candidate]) -> Candidate:
        return select.majority(found)


def revision(draft: Candidate) -> Candidate:
    """The conversation that asks for the draft's revision."""
    return draft.told(excerpt(draft), again(draft.prompt.messages, REVISE))


def excerpt(attempt: Candidate, parts: int = 1) -> str:
    """What an attempt says after its own thinking: the end of it, where `parts` like it would fill half the context."""
    room = attempt.prompt.room
    return spoken(attempt)[-(SHOWN if room is None else min(SHOWN, 2 * room // parts)) :]
