"""What all verifiers are made of: frozen settings with a name; the rest is the `Verifier` protocol."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from strategies.types import Candidate, Message, Step

NEUTRAL = 0.5
"""The score of what cannot be judged."""


class Settings(BaseModel):
    """A verifier's settings; a subclass adds `name` as a Literal, fields, and `score`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    name: str


def question(candidate: Candidate) -> str:
    """The text of the last user message that the candidate answers."""
    for message in reversed(candidate.prompt.messages):
        if message.get("role") == "user":
            return text_of(message)
    return ""


def text_of(message: Message) -> str:
    """A message's text, its text parts joined."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")


def steps_of(steps: Sequence[Step]) -> list[str]:
    """The texts of the steps: as they were searched, or split at blank lines where a path was grown at once."""
    if len(steps) != 1:
        return [step.text for step in steps]
    return [part for part in steps[0].text.split("\n\n") if part.strip()] or [steps[0].text]
