"""Telling a model's own thinking from its answer, and keeping stray think tags out of the trace, in streams of text."""

from collections.abc import Sequence

from strategies.types import Candidate, Logprob

TAGS = ("<think>", "</think>")
LONGEST_TAG = max(map(len, TAGS))


def answering(candidate: Candidate) -> tuple[Logprob, ...]:
    """The log-probabilities of the tokens that answer: those after the model's own thinking."""
    behind = Behind(candidate.prompt.thinks or None)
    sampled: list[Logprob] = []
    for step in candidate.steps:
        told = behind(step.logprobs or (Logprob(0.0, token=step.text),))
        sampled += told if step.logprobs else ()
    return tuple(sampled)


class Thinking:
    """Tells a model's own thinking from its answer, in a stream of text that may begin inside a `<think>`.

    `inside` tells whether it does; None where the text may open one itself. A text `behind` a thinking that earlier
    steps closed is an answer from its start, in which further tags mean nothing.
    """

    def __init__(self, inside: bool | None, behind: bool = False) -> None:
        self._inside = inside
        self._blanks: list[str] = []
        self._held = ""
        self._fresh = behind
        self._tags = WithoutTags() if behind else None

    def __call__(self, text: str) -> tuple[str, str]:
        """What of the text so far belongs to the thinking, and what to the answer."""
        if self._inside is None and not self._held and not text.strip():
            self._blanks.append(text)  # not joined yet: there may be thousands
            return "", ""
        text, self._held = self._held + text, ""
        if self._inside is None:
            begun = text.lstrip()
            if "<think>".startswith(begun):
                self._held = text
                return "", ""
            self._inside = begun.startswith("<think>")
            text = begun.removeprefix("<think>") if self._inside else "".join((*self._blanks, text))
        if not self._inside:
            return "", self._answer(text)
        thought, closed, answer = text.partition("</think>")
        if closed:
            self._inside, self._fresh = False, True
            return thought, self._answer(answer)
        held = max((len(part) for part in beginnings("</think>") if text.endswith(part)), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held], ""

    def _answer(self, text: str) -> str:
        """Text of the answer, without the blank that sets it off from the thinking."""
        text = self._tags(text) if self._tags else text
        text = text.lstrip() if self._fresh else text
        self._fresh = self._fresh and not text
        return text

    def rest(self) -> tuple[str, str]:
        """What was held back, in case it was the beginning of a tag."""
        if self._tags:
            return "", self._tags.rest()
        blanks = "".join(self._blanks) if self._inside is None else ""
        return (self._held, "") if self._inside else ("", blanks + self._held)


class Behind:
    """Keeps those of a stream of tokens that come behind the model's own thinking, in which it may begin (`inside`)."""

    def __init__(self, inside: bool | None) -> None:
        self._inside = inside
        self._text = ""
        self._held: list[Logprob] = []

    def __call__(self, tokens: Sequence[Logprob]) -> tuple[Logprob, ...]:
        return tuple(kept for token in tokens for kept in self._one(token))

    def _one(self, token: Logprob) -> Sequence[Logprob]:
        if self._inside is False:
            return (token,)
        self._text += token.token
        if self._inside is None:
            self._held.append(token)
            self._text = self._text.lstrip()
            if "<think>".startswith(self._text):
                return ()
            self._inside = self._text.startswith("<think>")
            if not self._inside:
                return self._held
        self._inside = "</think>" not in self._text
        self._text = self._text[1 - len("</think>") :]  # all that a tag may still begin with
        return ()


class WithoutTags:
    """Drops think tags from a stream of text, also those that arrive in parts or that a dropped one leaves behind."""

    def __init__(self) -> None:
        self._held = self._sent = ""

    def __call__(self, text: str) -> str:
        if "<" not in text and not self._held:  # most text: it neither has a tag nor begins one
            return self._apart(text)
        text = dropped(self._held + text)
        held = max((len(part) for tag in TAGS for part in beginnings(tag) if text.endswith(part)), default=0)
        self._held = text[len(text) - held :]
        return self._apart(text[: len(text) - held])

    def rest(self) -> str:
        """What was held back because it might have become a tag."""
        rest, self._held = self._held, ""
        return self._apart(rest)

    def _apart(self, text: str) -> str:
        """The text, kept from making up a tag with what went before it."""
        if "<" in self._sent and any(tag in self._sent + text for tag in TAGS):
            text = f" {text}"
        self._sent = (self._sent + text[-LONGEST_TAG:])[-LONGEST_TAG:]
        return text


def beginnings(tag: str) -> list[str]:
    """All that a tag may begin with, short of itself."""
    return [tag[:length] for length in range(1, len(tag))]


def dropped(text: str) -> str:
    """A text without think tags, those included that a dropped one leaves behind. Linear: tags end where they may."""
    if not any(tag in text for tag in TAGS):
        return text
    *closed, rest = text.split(">")
    kept: list[str] = []
    for part in closed:
        kept += f"{part}>"
        for tag in TAGS:
            if kept[-len(tag) :] == list(tag):
                del kept[-len(tag) :]
    return "".join(kept) + rest
