"""Errors as OpenAI writes them: an object with four keys, at every status."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from strategies.meter import Meter
from strategies.protocols import BackendError, Unusable

RETRY_AFTER = 5
"""Seconds after which a caller may try an engine that is down again."""
COMPLAINTS = 100
"""Complaints about one body that are looked through: each takes microseconds, and a body may have a million."""


LONGEST = 1000
"""Characters of what an error says: it may quote the request."""


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every error."""

    error: ErrorDetail


class ApiError(Exception):
    """An error that the caller is told, with the HTTP status it goes out with."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message[:LONGEST], param, code
        self.headers = headers or {}
        self.type = type or ("invalid_request_error" if status < 500 else "server_error")

    def body(self) -> dict[str, Any]:
        detail = {
            "message": self.message,
            "type": self.type,
            "param": self.param and self.param[:LONGEST],
            "code": self.code,
        }
        return {"error": detail}

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        again = self.status in (429, 503) and "x-should-retry" not in (headers or {})
        wait = {"retry-after": str(RETRY_AFTER)} if again else {}
        return JSONResponse(self.body(), self.status, {**wait, **self.headers, **(headers or {})})


@dataclass
class Asked:
    """What a route has learnt about its request, for the words of an error; `request.state.asked`.

    `names` are the caller's names for the parameters that a chat request, or an engine, may complain of. `meter` has
    spent what the request has cost so far.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    meter: Meter | None = None

    def renamed(self, param: str | None) -> str | None:
        """A parameter by the caller's name for it, or for what it lies in; None where the caller has none."""
        name = self.names.get((param or "").partition(".")[0])
        return param if param and param.startswith(f"{name}.") else name

    def told(self, error: Exception) -> ApiError:
        """A failure of this request."""
        made = as_api_error(error)
        ours = made.param if isinstance(error, ApiError) else None
        made.param = self.renamed(made.param) or ours
        return made

    def headers(self, status: int) -> dict[str, str]:
        """That a retry would spend the same again, where something was spent."""
        if self.meter is None:
            return {}
        began = self.meter.spent.calls > 0 and status in (500, 502, 504)
        spent = self.meter.spent.tokens > 0 and status == 503
        return {"x-should-retry": "false"} if began or spent else {}


EXPECTED = (ApiError, BackendError, Unusable, HTTPException, RequestValidationError)
"""Failures that are no fault of ours."""


def refused(message: str, param: str | None = None, code: str = "invalid_value") -> ApiError:
    """A 400 that names the parameter."""
    return ApiError(400, message, param=param, code=code)


def from_validation(error: ValidationError, prefix: tuple[str, ...] = ()) -> ApiError:
    """Pydantic's first complaint as a 400."""
    if error.error_count() > COMPLAINTS:
        return refused(f"{error.error_count()} parts of it are wrong", ".".join(prefix) or None)
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    told = [one for one in errors if one["type"] != "default_factory_not_called"] or errors  # another one's consequence
    first = max(told, key=lambda one: (len(one["loc"]), not one["type"].endswith("_type")))  # of a union, the nearest
    if first["type"] == "json_invalid":
        return refused("the body is not valid JSON", code="invalid_json")
    param = ".".join([*prefix, *(str(part) for part in first["loc"] if not is_kind(str(part)))]) or None
    if first["type"] == "extra_forbidden":
        return refused(f"unknown parameter: {param}", param, "unknown_parameter")
    if first["type"] == "missing":
        return refused(f"missing parameter: {param}", param, "missing_required_parameter")
    return refused(f"{param}: {first['msg'].removeprefix('Value error, ')}", param)


def is_kind(part: str) -> bool:
    """Whether a part of pydantic's path names no field but one of the kinds of value that a field may have."""
    return part in ("str", "int", "float", "bool") or part.endswith("]") or part[:1].isupper()


def from_engine(error: BackendError) -> ApiError:
    """What an engine's failure is to the caller."""
    if error.cause == "timeout":
        return ApiError(504, str(error), code="engine_timeout")
    match error.status:
        case 400 if "maximum context length" in str(error) or "the model takes" in str(error):
            return refused(str(error), "messages", "context_length_exceeded")
        case 400 | 422:
            return refused(str(error), error.param, code="engine_refused")
        case 404:
            return ApiError(404, str(error), param="model", code="model_not_found")
        case None | 429 | 503:
            return ApiError(503, str(error), code="engine_unavailable", type="service_unavailable_error")
    return ApiError(502, f"the engine failed: {error}", code="engine_error")


def as_api_error(error: Exception) -> ApiError:
    """Any failure as something to tell the caller; ours without its details."""
    match error:
        case ApiError():
            return error
        case BackendError():
            return from_engine(error)
        case Unusable():
            return refused(str(error), error.param)
        case HTTPException(status_code=404):
            return ApiError(404, "no such route", code="not_found")
        case HTTPException(status_code=405):
            return ApiError(405, "this route does not take this method", code="method_not_allowed")
        case HTTPException():
            return ApiError(error.status_code, error.detail)
        case RequestValidationError():
            first: dict[str, Any] = next(iter(error.errors()), {})
            return refused(
                f"the request cannot be read: {first.get('msg')}", ".".join(map(str, first["loc"][1:])) or None
            )
    return ApiError(500, "an error on our side", code="internal_error")


async def told(request: Request, error: Exception) -> Response:
    """The response to a request that failed."""
    asked: Asked = getattr(request.state, "asked", Asked())
    made = asked.told(error)
    given = error.headers if isinstance(error, HTTPException) and error.headers else {}
    return made.response({**given, **asked.headers(made.status)})


def install(app: FastAPI) -> None:
    """Make every failure of a route an error of this shape."""
    for kind in (*EXPECTED, Exception):
        app.add_exception_handler(kind, told)
