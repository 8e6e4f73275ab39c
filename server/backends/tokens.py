"""A model's own tokenizer and chat template, as its engine applies them. Knows nothing of what the ids are for."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from server.backends.http import Upstream
from server.backends.lately import Lately
from server.backends.wire import Tokenized, answer_as
from strategies.protocols import BackendError
from strategies.types import Message
from strategies.verifiers.base import text_of

Ids = tuple[int, ...]

TEXTS = 4096
"""Pieces of text whose ids are remembered: each step of a search comes again with every wave."""
PROMPTS = 128
"""Rendered prompts that are remembered: those of the requests in flight."""


class Tokens:
    """Token ids as one model of an engine has them, by `/tokenize`. Every method raises BackendError."""

    def __init__(self, upstream: Upstream, model: str) -> None:
        self._upstream, self._model = upstream, model
        self._texts: Lately[bytes, Ids] = Lately(TEXTS)
        self._prompts: Lately[bytes, Ids] = Lately(PROMPTS)
        self._templated = True

    async def text(self, text: str) -> Ids:
        """The ids of a piece of text, without the tokens that begin or end a document."""
        key = named(text.encode(errors="surrogatepass"))
        known = self._texts.get(key)
        if known is None:
            known = self._texts[key] = await self._ask({"prompt": text, "add_special_tokens": False})
        return known

    async def prompt(self, messages: Sequence[Message]) -> Ids:
        """The ids of a conversation up to where the reply begins."""
        key = named(msgspec.json.encode(messages))
        known = self._prompts.get(key)
        if known is None:
            known = self._prompts[key] = await self._rendered(messages, opened=True)
        return known

    async def conversation(self, messages: Sequence[Message], reply: str) -> Ids:
        """The ids of a conversation, its reply included and closed."""
        return await self._rendered((*messages, {"role": "assistant", "content": reply}), opened=False)

    async def _rendered(self, messages: Sequence[Message], *, opened: bool) -> Ids:
        """The messages in the model's chat template; as plain paragraphs where it has none."""
        if self._templated:
            try:
                return await self._ask({"messages": messages, "add_generation_prompt": opened})
            except BackendError as error:
                if error.status != 400 or "chat template" not in str(error):
                    raise
                self._templated = False
        text = "\n\n".join(text_of(message) for message in messages)
        return await self._ask({"prompt": text + "\n\n" * opened})

    async def _ask(self, body: dict[str, Any]) -> Ids:
        told = await self._upstream.post("/tokenize", {"model": self._model, **body})
        return tuple(answer_as(Tokenized, told).tokens)


def named(said: bytes) -> bytes:
    """A short name of what was said: a conversation with images may have megabytes."""
    return hashlib.sha256(said).digest()
