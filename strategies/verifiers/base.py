"""What all verifiers are made of: frozen settings with a name; the rest is the `Verifier` protocol."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from strategies.types import Candidate, Message

NEUTRAL = 0.5
"""The score of what cannot be judged."""


class Settings(BaseModel):
    """A verifier's settings; a subclass adds `name` as a Literal, fields, and `score`.

    `operator` names the fields that only the server's settings may set; `guarded` marks a verifier that does nothing
    until the operator allows it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    logprobs: ClassVar[int | None] = None
    operator: ClassVar[frozenset[str]] = frozenset()
    guarded: ClassVar[bool] = False
    name: str

    @property
    def compares(self) -> bool:
        """Whether it judges candidates by those that it gets together."""
        return False


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
