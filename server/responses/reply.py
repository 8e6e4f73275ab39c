"""A reply of chat's, retold as a response: named events, or one body, from the same pieces."""

import secrets
import time
from typing import Any

from server.errors import ApiError
from server.render import Piece
from server.reply import Reply
from server.responses.events import Narrator
from server.responses.output import items, status_of, usage
from server.responses.schema import ResponsesRequest
from server.responses.translate import told
from strategies.events import Answered, Event, Token


class ResponsesReply:
    """The response to one request, while it comes about."""

    def __init__(self, asked: ResponsesRequest, chat: Reply) -> None:
        self.chat = chat
        self._key = secrets.token_hex(16)
        self._narrator = Narrator(self._key)
        self._told = told(asked)
        self._pieces: list[tuple[int, Piece]] = []
        self._waiting: list[Piece] = []
        self._begun = False

    def pieces(self, event: Event) -> list[tuple[int, Piece]]:
        """What an event adds to the reply."""
        return self.chat.pieces(event)

    def chunks(self, event: Event) -> bytes:
        """What an event adds to the stream; nothing until something grows, for the request may yet fail as a whole."""
        new = list(self.pieces(event))
        self._pieces += new
        self._waiting += [piece for _, piece in new]
        if not self._begun and not isinstance(event, Token | Answered):
            return b""
        said, self._waiting = self._waiting, []
        return self._begin() + b"".join(self._say(piece) for piece in said)

    def end(self) -> bytes:
        """The end of a stream in which all went well."""
        whole = self.whole(self._pieces)
        calls = [one for one in whole["output"] if one["type"] == "function_call"]
        message = next((one for one in whole["output"] if one["type"] == "message"), None)
        said = self._begin()
        if message:
            said += self._narrator.say("message", "") + self._narrator.close(message["status"])
        else:
            said += self._narrator.close()
        said += b"".join(self._narrator.call(call) for call in calls)
        return said + self._narrator.event(f"response.{whole['status']}", response=whole)

    def failure(self, error: ApiError) -> bytes:
        """The end of a stream in which something failed."""
        code = "server_error" if error.status >= 500 else "invalid_prompt"
        failed = self._head("failed") | {"error": {"code": code, "message": error.message}}
        return self._begin() + self._narrator.event("response.failed", response=failed)

    def whole(self, pieces: list[tuple[int, Piece]]) -> dict[str, Any]:
        """The response as one body: chat's fold of the pieces, retold."""
        chat = self.chat.whole(pieces)
        [choice] = chat["choices"]
        status, spent = status_of(choice), self.chat.meter.spent
        body = self._head(status) | {
            "output": items(choice, self._key),
            "usage": usage(chat["usage"], spent.cached // max(1, spent.calls)),
        }
        if status == "incomplete":
            body["incomplete_details"] = {"reason": "max_output_tokens"}
        else:
            body["completed_at"] = int(time.time())
        return body | ({"ponder": chat["ponder"]} if "ponder" in chat else {})

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        head = self._head("in_progress")
        events = ("response.created", "response.in_progress")
        return b"".join(self._narrator.event(type, response=head) for type in events)

    def _say(self, piece: Piece) -> bytes:
        said = self._narrator.say("reasoning", piece.reasoning) if piece.reasoning else b""
        return said + (self._narrator.say("message", piece.content) if piece.content else b"")

    def _head(self, status: str) -> dict[str, Any]:
        """A response without output."""
        head = {"id": f"resp_{self._key}", "object": "response", "created_at": self.chat.created, "status": status}
        nothing = dict.fromkeys(("usage", "error", "incomplete_details", "completed_at"))
        return head | {"model": self.chat.plan.model, "output": []} | nothing | self._told
