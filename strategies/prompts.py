"""Chain-of-thought prompts: what the model is told about thinking, and about the form of the answer that is counted."""

from collections.abc import Sequence
from typing import Literal

from strategies.types import Message

PromptName = Literal["none", "zero_shot", "supervised"]

ANSWER = "Finish with the final answer alone between <answer> and </answer>."
PROMPTS: dict[PromptName, str] = {
    # Kojima et al. 2022, arXiv:2205.11916
    "zero_shot": f"Let's think step by step. Put a blank line between steps. {ANSWER}",
    "supervised": (
        "Work in these steps, with a blank line between them:\n"
        "1. Say in your own words what is asked and what is given.\n"
        "2. Split the problem into parts and plan how to solve each.\n"
        "3. Carry out the plan, one small step at a time, each calculation written out.\n"
        "4. Check every step; where one is wrong, say so and correct it.\n"
        f"5. {ANSWER}"
    ),
}


def instruct(messages: Sequence[Message], prompt: PromptName) -> tuple[Message, ...]:
    """The conversation with the prompt's words after its last user message.

    They go there, not into a system message: small models heed what they read last, and a system message of ours would
    take the place of the one in the model's own template.
    """
    if prompt == "none":
        return tuple(messages)
    at = max((at for at, message in enumerate(messages) if message.get("role") == "user"), default=None)
    if at is None:
        return (*messages, {"role": "user", "content": PROMPTS[prompt]})
    told = {**messages[at], "content": added(messages[at].get("content"), PROMPTS[prompt])}
    return (*messages[:at], told, *messages[at + 1 :])


def added(content: object, words: str) -> object:
    """Message content, text or parts, with more words at its end."""
    if isinstance(content, list | tuple):
        return [*content, {"type": "text", "text": words}]
    return f"{content or ''}\n\n{words}"
