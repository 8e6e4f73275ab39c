"""The body of a request: bytes of a bounded length, then a model of pydantic's."""

import json
import math
import re
from collections.abc import Collection
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from server.errors import ApiError, ErrorBody, from_validation, refused
from server.settings import Limits
from server.tenants import Tenant

Body = TypeVar("Body", bound=BaseModel)
STATUSES = (400, 401, 404, 413, 429, 500, 502, 503, 504)
ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in STATUSES}
DEFAULT: dict[int | str, dict[str, Any]] = {"default": {"model": ErrorBody}}
"""What else a route may answer; there is no 422 of FastAPI's."""
DEEPEST = 64
"""Objects and lists inside each other; what reads a body later on may recurse."""
STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A string of JSON. One that does not end goes to the end: else each quote of many in vain would be tried for one."""
NESTING = bytes.maketrans(b"{}", b"[]")
NO_NESTING = bytes(set(range(256)) - set(b"[]{}"))


def body_of(kind: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of a route that reads such a body itself."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def tenant_of(request: Request) -> Tenant:
    """Whose request this is."""
    tenant: Tenant = request.state.tenant
    return tenant


async def asked(request: Request, kind: type[Body]) -> Body:
    """The request. Raises ApiError 400 with the parameter's name, or 413."""
    limits: Limits = request.app.state.settings.limits
    return parse(await read(request, limits.body_bytes), kind, limits.media_hosts)


async def read(request: Request, most: int) -> bytes:
    """The body. Raises ApiError 413 as soon as it is too long."""
    too_long = ApiError(413, f"the body is longer than {most} bytes", code="body_too_large")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise too_long
    parts, length = [], 0
    try:
        async for part in request.stream():
            length += len(part)
            if length > most:
                raise too_long
            parts.append(part)
    except ClientDisconnect:
        raise refused("the body ended before its time", code="invalid_json") from None
    return b"".join(parts)


def parse(body: bytes, kind: type[Body], media_hosts: Collection[str] = ()) -> Body:
    """A body as what it should be, with no URLs but of these hosts. Raises ApiError 400 with the parameter's name."""
    if depth(body) > DEEPEST:
        raise refused(f"the body is nested more than {DEEPEST} deep", code="invalid_json")
    try:
        made = kind.model_validate_json(body, context=media_hosts)
    except ValidationError as error:
        raise from_validation(error) from None
    refuse_ambiguous(body)
    return made


def depth(body: bytes) -> int:
    """How deep a JSON document is nested, up to one more than DEEPEST, or less; of what is no JSON, any number.

    The innermost pairs are taken away again and again: each round is a pass in C.
    """
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return 0
    pairs = STRING.sub(b"", body).translate(NESTING, NO_NESTING)
    for taken in range(DEEPEST + 1):
        if not pairs:
            return taken
        before, pairs = len(pairs), pairs.replace(b"[]", b"")
        if len(pairs) == before:
            break
    return DEEPEST + 1


class Twice(ValueError):
    """A name that stands twice in one object."""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises Twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise Twice(next(name for name in made if names.count(name) > 1))
    return made


def finite(number: str) -> float:
    """A number of JSON, or one of the words that Python takes for one. Raises ValueError where it is none."""
    if not math.isfinite(made := float(number)):
        raise ValueError(number)
    return made


READER = json.JSONDecoder(object_pairs_hook=unique, parse_float=finite, parse_constant=finite)


def refuse_ambiguous(body: bytes) -> None:
    """Refuse JSON that two readers may take for two things: a name given twice, a number that is none, or too large.

    Where a value's shape is ours, the second was refused before. Raises ApiError 400.
    """
    try:
        READER.decode(body.decode())
    except Twice as twice:
        raise refused(f"{twice} is given twice", str(twice), "invalid_json") from None
    except ValueError:
        raise refused(f"{(name := infinite(body))}: Input should have finite numbers only", name) from None


def infinite(body: bytes) -> str | None:
    """The parameter that holds a number which is none, or too large."""
    for name, value in json.loads(body).items():
        try:
            json.dumps(value, allow_nan=False)
        except ValueError:
            return str(name)
    return None
