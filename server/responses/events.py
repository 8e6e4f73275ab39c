"""The named events of a streamed response, numbered, in the order that clients require."""

from collections.abc import Mapping
from typing import Any

import msgspec

from server.responses.output import Kind, item, part

PARTS: dict[Kind, str] = {"reasoning": "reasoning_text", "message": "output_text"}


class Narrator:
    """Tells items while they grow: each is opened before its first text, and closed before the next one."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._number = self._index = 0
        self._growing: Kind | None = None
        self._said: list[str] = []

    def event(self, type: str, **fields: Any) -> bytes:
        """The next event."""
        body = {"type": type, "sequence_number": self._number, **fields}
        self._number += 1
        return b"event: " + type.encode() + b"\ndata: " + msgspec.json.encode(body) + b"\n\n"

    def say(self, kind: Kind, text: str) -> bytes:
        """Text of the item of that kind, which is the one that grows from now on."""
        before = b"" if kind == self._growing else self.close() + self._open(kind)
        self._said.append(text)
        return before + (self._part_event(kind, "delta", delta=text) if text else b"")

    def close(self, status: str = "completed") -> bytes:
        """The end of the item that grows, where one does."""
        if self._growing is None:
            return b""
        kind, text = self._growing, "".join(self._said)
        whole, at = item(kind, self.key, status, text), self._index
        place = {"output_index": at, "item_id": whole["id"], "content_index": 0}
        self._growing, self._said, self._index = None, [], at + 1
        return (
            self._about(kind, place, "done", text=text)
            + self.event("response.content_part.done", **place, part=part(kind, text))
            + self.event("response.output_item.done", output_index=at, item=whole)
        )

    def call(self, whole: Mapping[str, Any]) -> bytes:
        """A function call, all at once."""
        at, said = self._index, whole["arguments"]
        place = {"output_index": at, "item_id": whole["id"]}
        self._index += 1
        begun = {**whole, "arguments": "", "status": "in_progress"}
        return (
            self.event("response.output_item.added", output_index=at, item=begun)
            + self.event("response.function_call_arguments.delta", **place, delta=said)
            + self.event("response.function_call_arguments.done", **place, name=whole["name"], arguments=said)
            + self.event("response.output_item.done", output_index=at, item=whole)
        )

    def _open(self, kind: Kind) -> bytes:
        self._growing = kind
        begun = item(kind, self.key, "in_progress", None)
        place = {"output_index": self._index, "item_id": begun["id"], "content_index": 0}
        added = self.event("response.output_item.added", output_index=self._index, item=begun)
        return added + self.event("response.content_part.added", **place, part=part(kind, ""))

    def _part_event(self, kind: Kind, what: str, **fields: Any) -> bytes:
        id = item(kind, self.key, "in_progress", None)["id"]
        return self._about(kind, {"output_index": self._index, "item_id": id, "content_index": 0}, what, **fields)

    def _about(self, kind: Kind, place: Mapping[str, Any], what: str, **fields: Any) -> bytes:
        extra: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
        return self.event(f"response.{PARTS[kind]}.{what}", **place, **fields, **extra)
