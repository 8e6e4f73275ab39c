"""The calls to one engine, as the metrics tell of them."""

from server.metrics import Metrics
from strategies.protocols import BackendError


class Calls:
    """Those of one engine, by its name in the settings."""

    def __init__(self, metrics: Metrics, engine: str) -> None:
        self._metrics, self._engine = metrics, engine
        self._running = metrics.upstream_running.at(engine)

    def began(self) -> None:
        """One more is in flight."""
        self._running.inc()

    def ended(self, error: BaseException | None) -> None:
        """One is over. It was aborted where it was ended by anything but a BackendError."""
        self._running.dec()
        if isinstance(error, BackendError):
            self._metrics.upstream_errors.at(self._engine, error.cause).inc()
        outcome = "ok" if error is None else "error" if isinstance(error, BackendError) else "aborted"
        self._metrics.upstream.at(self._engine, outcome).inc()
