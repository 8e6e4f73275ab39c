"""Plain values over a socket, between a test and the code under test. What is read can only ever be plain data."""

import json
import socket
import struct
from collections.abc import Callable
from typing import Any

LARGEST = 1 << 20
"""Bytes of one message."""
HEAD = struct.Struct(">I")
Refer = Callable[[Any], Any]
"""Tells what stands for a value that is no plain data: JSON. Raises TypeError where nothing does."""
KINDS: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "bytes": bytes.fromhex,
    "int": lambda text: int(text, 16),
    "complex": lambda parts: complex(*parts),
    "dict": dict,
}


def send(channel: socket.socket, message: Any) -> None:
    """Send a message of JSON. Raises ValueError for one that is too large, OSError."""
    body = json.dumps(message).encode()
    if len(body) > LARGEST:
        raise ValueError("a message is too large")
    channel.sendall(HEAD.pack(len(body)) + body)


def receive(channel: socket.socket) -> Any:
    """The next message. Raises EOFError, OSError, TimeoutError, ValueError, RecursionError."""
    (length,) = HEAD.unpack(exactly(channel, HEAD.size))
    if length > LARGEST:
        raise ValueError("a message is too large")
    return json.loads(exactly(channel, length))


def exactly(channel: socket.socket, length: int) -> bytes:
    """The next so many bytes."""
    parts = []
    while length:
        part = channel.recv(length)
        if not part:
            raise EOFError("the other side is gone")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def packed(value: Any, refer: Refer) -> Any:
    """A value as JSON: a list as it is, what JSON lacks as `{kind: parts}`; subclasses as the plain type."""
    match value:
        case None | bool() | float() | str():
            return value
        case int():
            return {"int": hex(value)} if abs(value) >= 1 << 53 else int(value)
        case bytes() | bytearray():
            return {"bytes": bytes(value).hex()}
        case complex():
            return {"complex": [value.real, value.imag]}
        case dict():
            return {"dict": [[packed(k, refer), packed(v, refer)] for k, v in value.items()]}
        case list():
            return [packed(item, refer) for item in value]
        case tuple() | set() | frozenset():
            kind = next(kind for kind in (tuple, set, frozenset) if isinstance(value, kind))
            return {kind.__name__: [packed(item, refer) for item in value]}
        case _:
            return {"ref": refer(value)}


def unpacked(value: Any, dereference: Callable[[Any], Any]) -> Any:
    """The value that such JSON stands for: of a plain type, or what `dereference` makes of a reference."""
    if isinstance(value, list):
        return [unpacked(item, dereference) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, parts),) = value.items()
    if kind == "ref":
        return dereference(parts)
    return KINDS[kind](unpacked(parts, dereference))
