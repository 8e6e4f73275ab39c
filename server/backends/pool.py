"""The engines behind this server, which models they serve, and whether they are well."""

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
import anyio
import msgspec

from server.backends.fleet import Fleet, Member
from server.backends.health import Health
from server.backends.http import Upstream
from server.backends.retries import RetryBudget
from server.backends.vllm import Vllm, models
from server.backends.wire import Model
from server.settings import Balancing, Engine
from strategies.protocols import BackendError
from strategies.tasks import together

RETRY_SECONDS = 10.0
"""How long an engine that did not answer is left alone while others do."""
OLDEST = (0, 19)
"""The oldest vLLM without the holes that let one request take an engine down (CVE-2026-34756)."""
log = logging.getLogger(__name__)


class Pool:
    """Finds the engines for a model. Engines are asked for their models when first needed, so they may start later."""

    def __init__(
        self,
        engines: tuple[Engine, ...],
        session: aiohttp.ClientSession,
        balancing: Balancing | None = None,
        retried: Callable[[], None] = lambda: None,
    ) -> None:
        self._engines, self._balancing, self._retried = engines, balancing or Balancing(), retried
        self._upstreams = [self._upstream(engine, session) for engine in engines]
        self.health = {name_of(engine): Health(self._balancing) for engine in engines}
        self._served: dict[int, list[Model]] = {}
        self._vllms: dict[tuple[int, str], Vllm] = {}
        self._retries = RetryBudget(self._balancing.retries)
        self._due = {at: 0.0 for at in range(len(engines))}
        self._failure = BackendError("no engine is configured")

    async def models(self) -> dict[str, Model]:
        """All models by id, the first engine's first. Raises BackendError where no engine answers.

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
            self._failure = BackendError("the engine does not answer", cause="timeout")
        else:
            await self._warn_if_old(at)

    async def _warn_if_old(self, at: int) -> None:
        try:
            with anyio.fail_after(self._engines[at].connect_seconds):
                told = msgspec.json.decode(await self._upstreams[at].get("/version"), type=dict[str, str])
            release = tuple(map(int, told.get("version", "").split(".")[:2]))
        except (BackendError, TimeoutError, msgspec.DecodeError, ValueError):
            return  # not every engine tells
        if release < OLDEST:
            log.warning("the engine %s is a vLLM %s with known holes", name_of(self._engines[at]), told["version"])

    async def ready(self) -> bool:
        """Whether an engine answers."""
        return any(await together(self._answers, range(len(self._engines))))

    async def watch(self) -> None:
        """Look after engines that are out, until cancelled: one that answers again is tried at once."""
        while True:
            await anyio.sleep(self._balancing.check_seconds)
            out = [at for at, engine in enumerate(self._engines) if self.health[name_of(engine)].out]
            for at, well in zip(out, await together(self._answers, out), strict=True):
                if well:
                    self.health[name_of(self._engines[at])].well()

    async def _answers(self, at: int) -> bool:
        try:
            with anyio.fail_after(self._engines[at].connect_seconds):
                await self._upstreams[at].get("/health")
        except (BackendError, TimeoutError):
            return False
        return True

    def backend(self, model: str) -> Fleet:
        """The engines that serve a model of `models`, as one backend."""
        members = [
            Member(name_of(self._engines[at]), self._vllm(at, known), self.health[name_of(self._engines[at])])
            for at in sorted(self._served)
            for known in self._wanted(at)
            if known.id == model
        ]
        return Fleet(members, self._retries, self._balancing.spread, self._retried)

    def _vllm(self, at: int, model: Model) -> Vllm:
        if (at, model.id) not in self._vllms:
            self._vllms[at, model.id] = Vllm(self._upstreams[at], model.id, model.max_model_len)
        return self._vllms[at, model.id]

    def _wanted(self, at: int) -> list[Model]:
        only = self._engines[at].model
        return [model for model in self._served[at] if only in (None, model.id)]

    @staticmethod
    def _upstream(engine: Engine, session: aiohttp.ClientSession) -> Upstream:
        key = engine.api_key.get_secret_value() if engine.api_key else None
        timeout = aiohttp.ClientTimeout(None, sock_connect=engine.connect_seconds, sock_read=engine.idle_seconds)
        return Upstream(session, engine.url, api_key=key, timeout=timeout)


def name_of(engine: Engine) -> str:
    """What logs and metrics call an engine: never a user name or password of its URL."""
    where = urlsplit(engine.url)
    return engine.name or f"{where.hostname}:{where.port or (443 if where.scheme == 'https' else 80)}"
