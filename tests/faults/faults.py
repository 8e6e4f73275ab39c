"""Ways in which an engine's answer can go wrong. Each gets the good answer and sends what becomes of it."""

import gzip
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from tests.faults.wire import Client

Events = AsyncIterator[bytes]
Act = Callable[[Client, Events], Coroutine[Any, Any, None]]
HANG = 3600.0
"""Seconds that a hanging engine is silent: longer than anybody waits."""
HEAD = 3
"""Events that go out before an answer breaks in its middle."""
GIGABYTE = 1 << 30
FAULTS: dict[str, Act] = {}


def fault(act: Act) -> Act:
    """Enter a fault under its function's name."""
    FAULTS[act.__name__] = act
    return act


async def some(events: Events, count: int = HEAD) -> AsyncIterator[bytes]:
    """The first events."""
    async for event in events:
        yield event
        count -= 1
        if not count:
            return


async def all_of(client: Client, events: Events) -> None:
    await client.head()
    async for event in events:
        await client.chunk(event)
    await client.end()


async def begun(client: Client, events: Events) -> None:
    """The head, and the first events."""
    await client.head()
    async for event in some(events):
        await client.chunk(event)


@fault
async def reset_before_headers(client: Client, events: Events) -> None:
    client.reset()


@fault
async def reset_after_headers(client: Client, events: Events) -> None:
    await client.head()
    client.reset()


@fault
async def reset_mid_stream(client: Client, events: Events) -> None:
    await begun(client, events)
    client.reset()


@fault
async def half_close(client: Client, events: Events) -> None:
    """The stream ends without its last chunk, as when a process dies."""
    await begun(client, events)


@fault
async def close_before_headers(client: Client, events: Events) -> None:
    pass


@fault
async def hang_before_headers(client: Client, events: Events) -> None:
    await client.gone(HANG)


@fault
async def hang_mid_stream(client: Client, events: Events) -> None:
    await begun(client, events)
    await client.gone(HANG)


@fault
async def drip(client: Client, events: Events) -> None:
    """Whole and right, but a byte at a time: frames and characters are split at every place."""
    client.piece = 1
    await all_of(client, events)


@fault
async def no_done(client: Client, events: Events) -> None:
    await client.head()
    async for event in events:
        if b"[DONE]" not in event:
            await client.chunk(event)
    await client.end()


@fault
async def done_twice(client: Client, events: Events) -> None:
    await client.head()
    async for event in events:
        await client.chunk(event * (2 if b"[DONE]" in event else 1))
    await client.end()


@fault
async def done_early(client: Client, events: Events) -> None:
    await begun(client, events)
    await client.chunk(b"data: [DONE]\n\n")
    await client.end()


@fault
async def truncated_chunk(client: Client, events: Events) -> None:
    await begun(client, events)
    await client.send(b"ff\r\ndata: {")


@fault
async def short_body(client: Client, events: Events) -> None:
    """A content-length that is not kept."""
    await client.head(b"content-type: text/event-stream\r\ncontent-length: 100000\r\n")
    async for event in some(events):
        await client.send(event)


BOMB = gzip.compress(bytes(16 << 20))


@fault
async def gzip_bomb(client: Client, events: Events) -> None:
    """A small body that says it is 16 MiB of zeros."""
    headers = b"content-type: text/event-stream\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n" % len(BOMB)
    await client.head(headers)
    await client.send(BOMB)


@fault
async def endless_line(client: Client, events: Events) -> None:
    """A gigabyte without a line's end, or what the reader takes of it."""
    await client.head()
    await client.chunk(b'data: {"x": "')
    for _ in range(GIGABYTE >> 16):
        await client.chunk(b"a" * (1 << 16))
    await client.end()


@fault
async def error_frame(client: Client, events: Events) -> None:
    """An error told inside a 200, as vLLM does it."""
    await client.head()
    await client.chunk(b'data: {"error": {"message": "broken", "type": "x", "code": 500}}\n\n')
    await client.chunk(b"data: [DONE]\n\n")
    await client.end()


@fault
async def error_frame_mid_stream(client: Client, events: Events) -> None:
    await begun(client, events)
    await client.chunk(b'data: {"error": {"message": "broken", "type": "x", "code": 500}}\n\n')
    await client.chunk(b"data: [DONE]\n\n")
    await client.end()


@fault
async def garbage_frames(client: Client, events: Events) -> None:
    await begun(client, events)
    await client.chunk(b"data: {not json\n\n")
    await client.end()


@fault
async def garbage_bytes(client: Client, events: Events) -> None:
    """No HTTP at all."""
    await client.send(bytes(range(256)) * 8)


@fault
async def web_page(client: Client, events: Events) -> None:
    """A good status, and a page of some proxy's."""
    await client.head(b"content-type: text/html\r\ncontent-length: 14\r\n")
    await client.send(b"<html></html>\n")


@fault
async def wrong_index(client: Client, events: Events) -> None:
    await changed(client, events, lambda choice: choice | {"index": 99})


@fault
async def negative_index(client: Client, events: Events) -> None:
    await changed(client, events, lambda choice: choice | {"index": -1})


@fault
async def missing_choice(client: Client, events: Events) -> None:
    """The last sequence of a group never comes, though the stream ends well."""
    await client.head()
    async for event in events:
        told = json.loads(event[6:]) if event.startswith(b"data: {") else {}
        if not told.get("choices") or any(choice["index"] == 0 for choice in told["choices"]):
            await client.chunk(event)
    await client.end()


@fault
async def repeated_chunks(client: Client, events: Events) -> None:
    """Every event comes twice: more tokens than were asked for."""
    await client.head()
    async for event in events:
        await client.chunk(event)
        await client.chunk(event)
    await client.end()


async def changed(client: Client, events: Events, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    await client.head()
    async for event in events:
        if event.startswith(b"data: {"):
            told = json.loads(event[6:])
            told["choices"] = [change(choice) for choice in told["choices"]]
            event = b"data: " + json.dumps(told).encode() + b"\n\n"
        await client.chunk(event)
    await client.end()


def status(code: int, headers: bytes = b"") -> Act:
    """An error status, with a body as vLLM writes it."""

    async def act(client: Client, events: Events) -> None:
        body = json.dumps({"error": {"message": "no", "type": "x", "param": None, "code": code}}).encode()
        await client.head(
            headers + b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body), status=code
        )
        await client.send(body)

    return act


FAULTS |= {
    "status_400": status(400),
    "status_429": status(429),
    "status_429_retry_after": status(429, b"retry-after: 0\r\n"),
    "status_500": status(500),
    "status_502": status(502),
    "status_503": status(503),
    "status_503_retry_after": status(503, b"retry-after: 30\r\n"),
    "redirect": status(302, b"location: http://169.254.169.254/latest\r\n"),
}
