"""A model's own thinking in a strategy's hands: opened, gone on with, closed. Pure."""

from dataclasses import replace

from strategies.answers import thinking
from strategies.types import Candidate

OPEN, CLOSE = "<think>\n", "</think>"
WAIT = "\nWait"
"""What makes a model go on that has thought too little."""
FINAL = "Final answer:"
"""What the answer begins with where the thinking was broken off."""


def opened(path: Candidate) -> Candidate:
    """The path inside its thinking, which its prompt may have opened."""
    return path if path.prompt.thinks else path.saying(OPEN)


def ended(path: Candidate) -> bool:
    """Whether the model has ended its thinking by itself: closed it, or stopped inside it."""
    return not thinking(path) or path.finish == "stop"


def reopened(path: Candidate, words: str) -> Candidate:
    """The path with its thinking not ended after all: without what ended it, and going on with `words`."""
    said = path.steps[-1].text.partition(CLOSE)[0].rstrip() if path.steps else ""
    return unended(path, said).saying(words)


def closed(path: Candidate, words: str = "") -> Candidate:
    """The path with its thinking closed, as the model has done it or else by us, the answer beginning with `words`."""
    if not thinking(path):
        return path
    return (unended(path) if path.finish in ("stop", "cut") else path).saying(f"\n{CLOSE}\n\n{words}")


def unended(path: Candidate, said: str | None = None) -> Candidate:
    """The path whose last step says `said` instead, or the same but goes on.

    It loses its token ids, for those that ended it, or that came without their text as it was cut off, are among them;
    an engine tokenises it anew.
    """
    if not path.steps:  # it ended before it said anything
        return path
    *before, last = path.steps
    text = last.text if said is None else said
    return replace(path, steps=(*before, replace(last, text=text, ids=(), logprobs=(), thought=last.tokens)))
