"""The body of a request: bytes of a bounded length, then a model of pydantic's."""

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from server.errors import ApiError, ErrorBody, from_validation, refused
from server.settings import Settings

Body = TypeVar("Body", bound=BaseModel)
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 404, 413, 500, 502, 503, 504)
}
DEFAULT: dict[int | str, dict[str, Any]] = {"default": {"model": ErrorBody}}
"""What else a route may answer; there is no 422 of FastAPI's."""


def body_of(kind: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of a route that reads such a body itself."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def asked(request: Request, kind: type[Body]) -> Body:
    """The request. Raises ApiError 400 with the parameter's name, or 413."""
    settings: Settings = request.app.state.settings
    return parse(await read(request, settings.limits.body_bytes), kind)


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


def parse(body: bytes, kind: type[Body]) -> Body:
    """A body as what it should be. Raises ApiError 400 with the parameter's name."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise from_validation(error) from None
    except RecursionError:
        raise refused("the body is nested too deeply", code="invalid_json") from None
