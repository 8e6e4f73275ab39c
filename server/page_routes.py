"""The page at `/` where one sees a search, and its assets: files that `server/page` was built into."""

from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

BUILT = Path(__file__).parent / "page" / "dist"
ROOT, ASSETS = "/", "/assets/"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy (W3C CSP 3): nothing from elsewhere, and no script or style inside the markup."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # asked for anew each time, by its ETag; what it names is kept
}
KEPT = "public, max-age=31536000, immutable"
"""For assets, whose names have a digest of what is in them."""


class Assets(StaticFiles):
    """The files beside the page."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = KEPT
        response.headers["x-content-type-options"] = "nosniff"
        return response


def is_public(path: str) -> bool:
    """Whether a path is part of the page, which all may load: what it shows needs a key of its own."""
    return path == ROOT or path.startswith(ASSETS)


def install(app: FastAPI) -> None:
    """Serve the page from `app`."""
    built = StaticFiles(directory=BUILT)

    async def page(request: Request) -> Response:
        response = await built.get_response("index.html", request.scope)
        response.headers.update(HEADERS)
        return response

    app.add_route(ROOT, page, methods=["GET", "HEAD"], include_in_schema=False)
    app.mount(ASSETS.rstrip("/"), Assets(directory=BUILT / "assets"), name="assets")
