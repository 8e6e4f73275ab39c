"""The engines behind this server, and which model each of them serves."""

import aiohttp
import anyio

from server.backends.http import Upstream
from server.backends.vllm import Vllm, models
from server.backends.wire import Model
from server.settings import Engine
from strategies.protocols import BackendError
from strategies.tasks import together

RETRY_SECONDS = 10.0
"""How long an engine that did not answer is left alone while others do."""


class Pool:
    """Finds the engine for a model. Engines are asked for their models when first needed, so they may start later."""

    def __init__(self, engines: tuple[Engine, ...], session: aiohttp.ClientSession) -> None:
        self._engines = engines
        self._upstreams = [self._upstream(engine, session) for engine in engines]
        self._served: dict[int, list[Model]] = {}
        self._backends: dict[str, Vllm] = {}
        self._due = {at: 0.0 for at in range(len(engines))}
        self._failure = BackendError("no engine is configured")

    async def models(self) -> dict[str, Model]:
        """All models by id; the first engine that serves one wins. Raises BackendError where no engine answers.

        Engines that have not told theirs are asked, all at once; one that does not answer, only now and then.
        """
        now = anyio.current_time()
        unknown = [at for at in self._due if at not in self._served]
        await together(self._ask, [at for at in unknown if not self._served or self._due[at] <= now])
        if not self._served:
            raise self._failure
        return {model.id: model for at in sorted(self._served, reverse=True) for model in self._wanted(at)}

    async def _ask(self, at: int) -> None:
        self._due[at] = anyio.current_time() + RETRY_SECONDS
        try:
            with anyio.fail_after(self._engines[at].connect_seconds):
                self._served[at] = await models(self._upstreams[at])
        except BackendError as error:
            self._failure = error
        except TimeoutError:
            self._failure = BackendError("the engine does not answer")

    async def ready(self) -> bool:
        """Whether an engine answers."""
        return any(await together(self._answers, range(len(self._engines))))

    async def _answers(self, at: int) -> bool:
        try:
            with anyio.fail_after(self._engines[at].connect_seconds):
                await self._upstreams[at].get("/health")
        except (BackendError, TimeoutError):
            return False
        return True

    def backend(self, model: str) -> Vllm:
        """The engine that serves a model of `models`, as a backend."""
        if model not in self._backends:
            at = next(at for at in sorted(self._served) if any(one.id == model for one in self._wanted(at)))
            known = next(one for one in self._wanted(at) if one.id == model)
            self._backends[model] = Vllm(self._upstreams[at], model, known.max_model_len)
        return self._backends[model]

    def _wanted(self, at: int) -> list[Model]:
        only = self._engines[at].model
        return [model for model in self._served[at] if only in (None, model.id)]

    @staticmethod
    def _upstream(engine: Engine, session: aiohttp.ClientSession) -> Upstream:
        key = engine.api_key.get_secret_value() if engine.api_key else None
        timeout = aiohttp.ClientTimeout(None, sock_connect=engine.connect_seconds, sock_read=engine.idle_seconds)
        return Upstream(session, engine.url, api_key=key, timeout=timeout)
