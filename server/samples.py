"""What became of the sequences of a request, and what those that stopped early saved. Pure: events in, figures out."""

from collections import Counter
from typing import Literal

from strategies.events import Closed, Note

Fate = Literal["used", "pruned", "early_stopped", "aborted", "lost"]


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
        self._told = 0.0
        self._never_begun = 0

    def closed(self, event: Closed) -> None:
        if event.early:
            self._stopped.append(event.candidate.tokens)
        elif event.candidate.finished:
            self._ended.append(event.candidate.tokens)

    def noted(self, event: Note, started: int) -> None:
        told = event.facts.get("tokens_saved")
        if isinstance(told, int | float) and told > 0:
            self._told += told
        if event.facts.get("saved") and self._most:
            self._never_begun += max(0, self._most - started)

    def tokens(self) -> float:
        """0 where nothing has ended by itself."""
        if not self._most or not self._ended:
            return self._told
        mean = sum(self._ended) / len(self._ended)
        return self._told + self._never_begun * mean + sum(max(0.0, mean - tokens) for tokens in self._stopped)
