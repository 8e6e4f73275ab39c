"""The engines behind this server, which models each of them serves, and how they are."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import anyio

from server.backends.calls import Calls
from server.backends.fleet import Fleet, Host, Member
from server.backends.health import Health
from server.backends.http import Patience, Upstream
from server.backends.retries import Retries
from server.backends.vllm import Vllm, models
from server.backends.wire import Model, Version, answer_as
from server.metrics import Metrics
from server.settings import Engine, Settings
from strategies.protocols import BackendError
from strategies.tasks import together

OLDEST = (0, 19)
"""The oldest vLLM without known holes that a request could use (CVE-2026-34756 and others)."""
log = logging.getLogger(__name__)


class Pool:
    """Finds the engines for a model. They are asked for their models when first needed, so they may start later."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings.pool, metrics
        self._engines = settings.engines
        self._hosts = [self._host(at, engine) for at, engine in enumerate(settings.engines)]
        self._served: dict[int, list[Model]] = {}
        self._vllms: dict[tuple[int, str], Vllm] = {}
        self._retries = Retries(settings.pool)
        self._failure = BackendError("no engine is configured", cause="connect")

    async def models(self) -> dict[str, Model]:
        """All models by id, as the first engine that serves one tells of it. Raises BackendError where none answers.

        While none has told its models, all are asked at once; later, no request waits for those that have not.
        """
        if not self._served:
            await together(self._ask, range(len(self._hosts)))
        if not self._served:
            raise self._failure
        return {model.id: model for at in sorted(self._served, reverse=True) for model in self._wanted(at)}

    async def _ask(self, at: int) -> None:
        """Ask an engine for its models, and what it is."""
        host = self._hosts[at]
        try:
            with anyio.fail_after(self._engines[at].connect_seconds):
                self._served[at] = await models(host.upstream)
                self._warn(host.name, await version(host.upstream))
        except BackendError as error:
            self._failure = error
        except TimeoutError:
            self._failure = BackendError("the engine does not answer", cause="timeout")

    def _warn(self, name: str, version: str) -> None:
        """Say in the log that an engine is too old for requests of strangers."""
        numbers = re.match(r"(\d+)\.(\d+)", version)
        if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
            log.warning("engine %s is vLLM %s: one request can take it down before %d.%d", name, version[:32], *OLDEST)

    async def ready(self) -> bool:
        """Whether an engine answers."""
        return any(await together(self._answers, range(len(self._hosts))))

    async def _answers(self, at: int) -> bool:
        try:
            with anyio.fail_after(self._engines[at].connect_seconds):
                await self._hosts[at].upstream.get("/health")
        except BackendError as error:
            return error.cause == "refused"  # no such route, but somebody is there
        except TimeoutError:
            return False
        return True

    async def watch(self) -> None:
        """Look after the engines that are out, or have not told their models, for ever."""
        while True:
            await anyio.sleep(self._settings.check_seconds)
            missing = [at for at, host in enumerate(self._hosts) if host.health.out or at not in self._served]
            await together(self._check, missing)

    def close(self) -> None:
        """End the connections that are free."""
        for host in self._hosts:
            host.upstream.close()

    async def _check(self, at: int) -> None:
        """How an engine is; one that is back may serve other models than before."""
        fine = await self._answers(at)
        if fine:
            await self._ask(at)
        self._hosts[at].health.checked(fine)

    def backend(self, model: str) -> Fleet:
        """The engines that serve a model of `models`, as a backend."""
        members = [
            Member(self._hosts[at], self._vllm(at, known))
            for at in sorted(self._served)
            for known in self._wanted(at)
            if known.id == model
        ]
        return Fleet(members, self._retries, self._settings.load_factor, self._metrics)

    def _vllm(self, at: int, model: Model) -> Vllm:
        if (at, model.id) not in self._vllms:
            host = self._hosts[at]
            self._vllms[at, model.id] = Vllm(host.upstream, model.id, model.max_model_len, host.name)
        return self._vllms[at, model.id]

    def _wanted(self, at: int) -> list[Model]:
        only = self._engines[at].model
        return [model for model in self._served[at] if only in (None, model.id)]

    def _host(self, at: int, engine: Engine) -> Host:
        key = engine.api_key.get_secret_value() if engine.api_key else None
        patience = Patience(engine.connect_seconds, engine.first_seconds, engine.idle_seconds)
        health = Health(self._settings)
        name = engine.name or str(at)
        self._metrics.reads(self._metrics.up.at(name), lambda: float(not health.out))
        upstream = Upstream(engine.url, api_key=key, patience=patience)
        return Host(name, upstream, health, Calls(self._metrics, name))


async def version(upstream: Upstream) -> str:
    """What version of vLLM an engine is; empty where it does not tell."""
    try:
        return answer_as(Version, await upstream.get("/version")).version
    except BackendError:
        return ""


@asynccontextmanager
async def pool(settings: Settings, metrics: Metrics) -> AsyncIterator[Pool]:
    """The engines of the settings, looked after for as long as the block lasts."""
    with closing(Pool(settings, metrics)) as made:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.watch)
            yield made
            tasks.cancel_scope.cancel()
