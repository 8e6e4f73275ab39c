"""The page as it is served: to all, from nowhere else, and kept where it may be."""

import re

import pytest

from server.page_routes import POLICY
from tests.serving import ponder
from tests.tenants import ALICE, bearing, settings

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


async def test_the_page_may_load_nothing_but_what_this_server_has():
    async with ponder() as served:
        response = await served.client.get("/")
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert response.headers["content-security-policy"] == POLICY
        assert "unsafe" not in POLICY
        assert response.headers["cache-control"] == "no-cache"
        assert not re.findall(r"https?://|<style| style=| on\w+=|<script>", response.text)


async def test_assets_are_kept_for_good_and_the_page_is_asked_for_anew():
    async with ponder() as served:
        first = await served.client.get("/")
        again = await served.client.get("/", headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 304
        [script] = re.findall(r'src="\./(assets/[^"]+\.js)"', first.text)
        asset = await served.client.get(f"/{script}")
        assert "immutable" in asset.headers["cache-control"]
        assert asset.headers["content-type"].startswith("text/javascript")
        assert asset.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/assets/none.js", "/assets/../index.html", "/assets/%2e%2e/%2e%2e/%2e%2e/auth.py"])
async def test_nothing_outside_the_assets_is_served(path):
    async with ponder() as served:
        response = await served.client.get(path)
        assert response.status_code == 404
        assert response.json()["error"]["message"]


async def test_the_page_needs_no_key_and_all_that_it_shows_does():
    async with ponder(settings=settings()) as served:
        assert (await served.client.get("/")).status_code == 200
        assert (await served.client.head("/")).status_code == 200
        for path in ("/v1/models", "/v1/strategies", "/v1/verifiers", "/metrics", "/assets"):
            assert (await served.client.get(path)).status_code == 401, path
        assert (await served.client.get("/v1/models", headers=bearing(ALICE))).status_code == 200
