"""What several workers share: nothing yet."""

from pathlib import Path

import anyio

from server.settings import Settings


async def serve_shared(settings: Settings, path: Path) -> None:
    """Serve it on a Unix socket at `path` until cancelled."""
    await anyio.sleep_forever()
