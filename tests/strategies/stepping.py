"""Models and verifiers for searches over steps: what a path says last is what it is worth."""

import re
from dataclasses import dataclass

from strategies.events import Closed, Note, Opened, Pruned
from strategies.testing import FakeBackend, FakeVerifier, play


def saying(*waves, end="\\boxed{1}"):
    """A model that gives child k of the root the words waves[0][k], what comes after them waves[1], then ends.

    Deeper, a child's place is told by its seed alone: words are taken in turn.
    """

    def reply(call, seed):
        if len(call.steps) >= len(waves):
            return end
        words = waves[len(call.steps)]
        said = words[seed % len(words)]
        return said if "boxed" in said else f"{said}\n\n"

    return reply


def number(candidate):
    """The last number in a path."""
    told = re.findall(r"-?\d+(?:\.\d+)?", candidate.text)
    return float(told[-1]) if told else 0.0


async def search(strategy, reply, judge=number, **settings):
    return await play(strategy, FakeBackend(reply), verifier=FakeVerifier(judge), **settings)


class Unjudging:
    """A verifier that cannot judge anything."""

    logprobs = None

    async def score(self, candidates, ask):
        return [None for _ in candidates]


@dataclass
class Crowded(FakeBackend):
    """Counts the most sequences that are in flight at once."""

    flying: int = 0
    most: int = 0

    async def _say(self, call, texts, take):
        self.flying += call.n
        self.most = max(self.most, self.flying)
        try:
            await super()._say(call, texts, take)
        finally:
            self.flying -= call.n


def opened(played):
    """The ids of all sequences, in order of birth."""
    return [event.id for event in played.events if isinstance(event, Opened)]


def parents(played, depth):
    """The ids of the paths that were given a step of this depth, in order."""
    born = [id.rpartition(".")[0] for id in opened(played) if id.count(".") == depth]
    return list(dict.fromkeys(born))


def pruned(played):
    """The ids of all paths that were dropped."""
    return {id for event in played.events if isinstance(event, Pruned) for id in event.ids}


def facts(played, name):
    """The figures of this name in notes."""
    return [event.facts[name] for event in played.events if isinstance(event, Note) and name in event.facts]


def texts(played):
    """What was found, by id."""
    return {event.candidate.id: event.candidate.text for event in played.events if isinstance(event, Closed)}
