"""A response as OpenAI writes it: its items, its usage, itself. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["reasoning", "message"]
PREFIXES: dict[Kind, str] = {"reasoning": "rs", "message": "msg"}


def part(kind: Kind, text: str) -> dict[str, Any]:
    """The one part of an item of text."""
    if kind == "reasoning":
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def item(kind: Kind, key: str, status: str, text: str | None) -> dict[str, Any]:
    """An item of text; None for one that has no part yet. `key` is its response's own part of the id."""
    content = [] if text is None else [part(kind, text)]
    own: dict[str, Any] = {"summary": []} if kind == "reasoning" else {"role": "assistant"}
    return {"id": f"{PREFIXES[kind]}_{key}", "type": kind, "status": status, "content": content} | own


def function_call(call: Mapping[str, Any], key: str, at: int, status: str) -> dict[str, Any]:
    """A call of chat's as an item."""
    said = {"name": call["function"]["name"], "arguments": call["function"]["arguments"]}
    return {"id": f"fc_{key}_{at}", "type": "function_call", "call_id": call["id"], "status": status} | said


def items(choice: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The items that a choice of chat's comes to: reasoning, the message, calls."""
    message, status = choice["message"], status_of(choice)
    calls = message.get("tool_calls") or ()
    made = []
    if reasoning := message.get("reasoning"):
        made.append(item("reasoning", key, "completed", reasoning))
    if message["content"] or not calls:
        made.append(item("message", key, status, message["content"] or ""))
    return made + [function_call(call, key, at, status) for at, call in enumerate(calls)]


def status_of(choice: Mapping[str, Any]) -> Literal["completed", "incomplete"]:
    """Whether the answer is whole."""
    return "incomplete" if choice["finish_reason"] == "length" else "completed"


def usage(told: Mapping[str, Any], cached: int) -> dict[str, Any]:
    """Chat's usage in the words of responses."""
    return {
        "input_tokens": told["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": min(cached, told["prompt_tokens"]), "cache_write_tokens": 0},
        "output_tokens": told["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": told["completion_tokens_details"]["reasoning_tokens"]},
        "total_tokens": told["total_tokens"],
    }
