"""The engines behind this server, and which model each of them serves."""

import aiohttp

from server.backends.http import Upstream
from server.backends.vllm import Model, Vllm, models
from server.settings import Engine
from strategies.protocols import BackendError


class Pool:
    """Finds the engine for a model. Engines are asked for their models when first needed, so they may start later."""

    def __init__(self, engines: tuple[Engine, ...], session: aiohttp.ClientSession) -> None:
        self._engines = engines
        self._upstreams = [self._upstream(engine, session) for engine in engines]
        self._served: dict[int, list[Model]] = {}
        self._backends: dict[str, Vllm] = {}

    async def models(self) -> dict[str, Model]:
        """All models by id; the first engine that serves one wins. Raises BackendError where no engine answers."""
        failure: BackendError | None = None
        for at, upstream in enumerate(self._upstreams):
            try:
                if at not in self._served:
                    self._served[at] = await models(upstream)
            except BackendError as error:
                failure = error
        if not self._served:
            raise failure or BackendError("no engine is configured")
        return {model.id: model for at in sorted(self._served, reverse=True) for model in self._wanted(at)}

    async def ready(self) -> bool:
        """Whether an engine answers."""
        for upstream in self._upstreams:
            try:
                await upstream.get("/health")
            except BackendError:
                continue
            return True
        return False

    def backend(self, model: str) -> Vllm:
        """The engine that serves a model of `models`, as a backend."""
        if model not in self._backends:
            at = next(at for at in sorted(self._served) if any(one.id == model for one in self._wanted(at)))
            self._backends[model] = Vllm(self._upstreams[at], model)
        return self._backends[model]

    def _wanted(self, at: int) -> list[Model]:
        only = self._engines[at].model
        return [model for model in self._served[at] if only in (None, model.id)]

    @staticmethod
    def _upstream(engine: Engine, session: aiohttp.ClientSession) -> Upstream:
        key = engine.api_key.get_secret_value() if engine.api_key else None
        timeout = aiohttp.ClientTimeout(None, sock_connect=engine.connect_seconds, sock_read=engine.idle_seconds)
        return Upstream(session, engine.url, api_key=key, timeout=timeout)
