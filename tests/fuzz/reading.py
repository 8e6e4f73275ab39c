"""What is done with generated input: it is read, in pieces of any size, as the server reads it."""

import asyncio

from server.backends.http import frames
from server.backends.wire import decoded
from server.errors import ApiError
from server.incoming import parse
from server.resolve import resolve
from server.responses.schema import ResponsesRequest
from server.responses.translate import chat_request
from server.schema import ChatRequest
from server.settings import Settings
from server.thinking import Thinking
from strategies.protocols import BackendError
from strategies.registry import Registry

SETTINGS, REGISTRY, MODELS = Settings(), Registry(), {"m": None, "m:x": None}


def pieces(whole, sizes):
    """A text, or bytes, in pieces of these sizes, then the rest."""
    at = 0
    for size in sizes:
        if at >= len(whole):
            return
        yield whole[at : at + size]
        at += size
    yield whole[at:]


class Dripping:
    """An engine's answer that comes in such pieces."""

    def __init__(self, parts):
        self._parts = (part for part in parts if part)

    async def some(self):
        return next(self._parts, b"")

    async def finish(self):
        pass


def read(data, sizes):
    """All frames of a stream that comes in such pieces; the last one is "broken" where it ends before its time."""
    return asyncio.run(framed(Dripping(pieces(data, sizes))))


async def framed(answer):
    found = []

    async def take(some):
        for frame in some:
            found.append(frame)
            try:
                decoded(frame)
            except BackendError:
                found.append("unreadable")

    try:
        await frames(answer, take)
    except BackendError:
        found.append("broken")
    return found


def split(parts, inside):
    """The thinking and the answer of a text that comes in parts."""
    thinking = Thinking(inside)
    told = [thinking(part) for part in parts]
    return "".join(thought for thought, _ in told), "".join(answer for _, answer in told)


def refused(kind, body):
    """The error that the caller is told; None where the request can be understood."""
    try:
        wanted = parse(body, kind)
        if kind is ResponsesRequest:
            wanted = chat_request(wanted)
        if kind in (ChatRequest, ResponsesRequest):
            resolve(wanted, SETTINGS, REGISTRY, MODELS)
    except ApiError as error:
        return error
    return None
