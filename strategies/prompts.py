"""Chain-of-thought prompts: what the model is told about thinking, and about the form of the answer that is counted."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from strategies.types import Message

ANSWER = "Finish with the final answer alone between <answer> and </answer>."
TEXTS: dict[str, str] = {
    "none": "",
    # Kojima et al. 2022, arXiv:2205.11916
    "zero_shot": f"Let's think step by step. Put a blank line between steps. {ANSWER}",
    # Wei et al. 2022, arXiv:2201.11903
    "few_shot": f"Think and answer as in the examples, with a blank line between steps. {ANSWER}",
    "supervised": (
        "Work in these steps, with a blank line between them:\n"
        "1. Say in your own words what is asked and what is given.\n"
        "2. Split the problem into parts and plan how to solve each.\n"
        "3. Carry out the plan, one small step at a time, each calculation written out.\n"
        "4. Check every step; where one is wrong, say so and correct it.\n"
        f"5. {ANSWER}"
    ),
    "long": (
        "Think at length before you answer, between <think> and </think>, with a blank line between thoughts. Plan "
        "first. Try the plan step by step, each calculation written out. Verify every result another way. Whenever "
        'something does not fit, say "Wait", go back to where it was still right, and try differently; weigh other '
        "ways even when the first seems to work. Close your thinking only when you are sure, then give the solution in "
        f"a few lines. {ANSWER}"
    ),
}
"""What each built-in prompt says after the last user message."""


class Example(BaseModel):
    """A question and how it should be answered, thinking included."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    question: str
    answer: str


class Wording(BaseModel):
    """A chain-of-thought prompt: a name, and words or examples of one's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    name: str = Field("zero_shot", description="none, zero_shot, few_shot, supervised, long, or one of the settings")
    text: str | None = Field(None, min_length=1, description="takes the place of the prompt's own words")
    examples: list[Example] = Field([], max_length=64, description="shown as earlier turns; few_shot needs some")

    @property
    def words(self) -> str:
        """What is said after the last user message; how to answer is added where a text of one's own leaves it out."""
        if self.text is None:
            return TEXTS[self.name]
        return self.text if "<answer>" in self.text or "\\boxed" in self.text else f"{self.text}\n\n{ANSWER}"


def wording(spec: str | Wording, named: Mapping[str, Wording] | None = None) -> Wording:
    """The prompt of that name: one of `named`, which may build on a built-in one, or a built-in one.

    Raises ValueError where there is none, or it lacks examples that it needs.
    """
    asked = Wording(name=spec) if isinstance(spec, str) else spec
    if base := (named or {}).get(asked.name):
        own = {name: getattr(asked, name) for name in asked.model_fields_set - {"name"}}
        asked = base.model_copy(update=own)
    if asked.name not in TEXTS:
        known = ", ".join(dict.fromkeys([*TEXTS, *(named or {})]))
        raise ValueError(f"unknown prompt {asked.name!r}; there are {known}")
    if asked.name == "few_shot" and not asked.examples:
        raise ValueError('few_shot needs examples: {"name": "few_shot", "examples": [{"question": …, "answer": …}]}')
    return asked


def instruct(messages: Sequence[Message], prompt: Wording) -> tuple[Message, ...]:
    """The conversation with the prompt's words after its last user message, and its examples as turns before that.

    The words go there, not into a system message: small models heed what they read last, and a system message of ours
    would take the place of the one in the model's own template.
    """
    at = question_at(messages)
    return (*messages[:at], *turns(prompt.examples), *asking(messages[at:], prompt.words))


def asking(messages: Sequence[Message], words: str) -> tuple[Message, ...]:
    """The conversation with words at the end of its last user message."""
    if not words:
        return tuple(messages)
    at = question_at(messages)
    asked = messages[at] if at < len(messages) else {"role": "user", "content": ""}
    return (*messages[:at], {**asked, "content": added(asked.get("content"), words)}, *messages[at + 1 :])


def question_at(messages: Sequence[Message]) -> int:
    """The place of the last user message; the end, where there is none."""
    return max((at for at, message in enumerate(messages) if message.get("role") == "user"), default=len(messages))


def again(messages: Sequence[Message], words: str) -> str:
    """Words that ask for a further answer, with how to give it where the conversation asks that: models forget it."""
    asked = any("<answer>" in str(message.get("content")) for message in messages if message.get("role") == "user")
    return f"{words} {ANSWER}" if asked else words


def turns(examples: Sequence[Example]) -> list[Message]:
    """Examples as turns of a conversation."""
    pairs = [(("user", example.question), ("assistant", example.answer)) for example in examples]
    return [{"role": role, "content": content} for pair in pairs for role, content in pair]


def added(content: object, words: str) -> object:
    """Message content, text or parts, with more words at its end."""
    if isinstance(content, list | tuple):
        return [*content, {"type": "text", "text": words}]
    return f"{content}\n\n{words}" if content else words
