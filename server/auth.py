"""The door: whoever brings no known key gets no further, before a byte of the body is read."""

import ipaddress

from starlette.types import ASGIApp, Receive, Scope, Send

from server.errors import ApiError
from server.page_routes import is_public
from server.settings import Settings
from server.tenants import Tenant, Tenants

OPEN = ("/health", "/ready")
"""Routes for all: they cost nothing and tell nothing but whether there is service."""
METRICS = "/metrics"
UNKNOWN = ApiError(401, "this server wants a key that it knows: Authorization: Bearer KEY", code="invalid_api_key")


class Authentication:
    """An ASGI app around another one. It puts the request's tenant into its state, or answers 401 by itself."""

    def __init__(self, app: ASGIApp, tenants: Tenants, open_metrics: bool) -> None:
        self.app, self.tenants = app, tenants
        self.open = (*OPEN, METRICS) if open_metrics else OPEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        tenant = await self.tenants.find(bearer(scope))
        if refusal := self._refusal(scope["path"], tenant):
            again = {"www-authenticate": "Bearer"} if refusal.status == 401 else {}
            await refusal.response(again)(scope, receive, send)
            return
        scope["state"]["tenant"] = tenant
        await self.app(scope, receive, send)

    def _refusal(self, path: str, tenant: Tenant | None) -> ApiError | None:
        if path in self.open or is_public(path):
            return None
        if tenant is None:
            return UNKNOWN
        if path == METRICS and not tenant.quotas.metrics:
            return ApiError(403, "this key may not read the metrics, which tell of all tenants", code="forbidden")
        return None


def bearer(scope: Scope) -> str:
    """The key that a request brings; "" where there is none, or more than one."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, key = (given[0] if len(given) == 1 else b"").decode("latin-1").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def unguarded(settings: Settings) -> str | None:
    """Why these settings may not be served: others would reach a server without keys. None where they may."""
    if settings.keys or settings.auth.open or is_loopback(settings.server.host):
        return None
    return (
        f"{settings.server.host} is open to others, and there are no keys: name some in [keys.NAME] (`ponder key` "
        "makes one), or say --no-auth where something in front of Ponder lets in only whom it should"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
