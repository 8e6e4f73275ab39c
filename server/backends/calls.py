"""The calls to one engine, as the metrics tell of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from server.metrics import Metrics
from strategies.protocols import BackendError


class Calls:
    """Those of one engine, by its name in the settings."""

    def __init__(self, metrics: Metrics, engine: str) -> None:
        self._metrics, self._engine = metrics, engine
        self._running = metrics.upstream_running.at(engine)

    @contextmanager
    def one(self) -> Iterator[None]:
        """One of them. It is aborted where the block is left by anything but its end or a BackendError."""
        outcome = "aborted"
        self._running.inc()
        try:
            yield
            outcome = "ok"
        except BackendError as error:
            outcome = "error"
            self._metrics.upstream_errors.at(self._engine, error.cause).inc()
            raise
        finally:
            self._running.dec()
            self._metrics.upstream.at(self._engine, outcome).inc()
