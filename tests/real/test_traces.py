"""One trace of a search, with the spans of a vLLM that exports its own joined to it."""

import pytest

from server import paths
from server.backends.local import EngineSpec, local_engine
from server.settings import Engine
from tests.conftest import told
from tests.receiver import receiver, traced
from tests.serving import serving, until

pytestmark = [pytest.mark.anyio, pytest.mark.real]
BEAMS = {"name": "beam_search", "beams": 2, "width": 2, "depth": 3, "step_tokens": 16}


@pytest.fixture
async def joined(tmp_path, monkeypatch, request):
    """A receiver, and a vLLM that tells it of every request."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    async with receiver() as got:
        spec = EngineSpec(
            str(paths.default_model()),
            paths.DEFAULT_MODEL,
            paths.engine_python(),
            tmp_path / "engine.log",
            args=("--otlp-traces-endpoint", got.url),
        )
        async with local_engine(spec) as engine:
            await engine.ready(told(request.config))
            yield got, engine


async def test_a_search_and_what_its_engine_did_for_it_are_one_trace(joined):
    got, engine = joined
    settings = traced(got.url).model_copy(update={"engines": (Engine(url=engine.url),)})
    async with serving(settings) as served:
        reply = await served.chat(reasoning_strategy=BEAMS, return_trace=True, max_tokens=64)
        request = await got.request()
        spent = reply.json()["ponder"]["tokens"]
        await until(lambda: len(engines(got, request)) >= spent["samples"] + spent["verifier"], 30)
    [run] = got.below(request)
    samples, calls = ([one for one in got.below(run) if one.name.startswith(name)] for name in ("chat", "evaluate"))
    assert len(samples) == spent["samples"]
    assert calls
    parents = {span.id: span.name.split()[0] for span in (run, *samples, *calls)}
    found = {parents.get(span.parent) for span in engines(got, request)}
    assert {"invoke_workflow", "evaluate"} <= found <= {"invoke_workflow", "evaluate", "chat"}, (
        "groups, verdicts, single ones"
    )


def engines(got, request):
    """The spans of that trace that are the engine's own: one a sequence, a verdict of `p_true` being one token."""
    return [span for span in got.spans if span.name == "llm_request" and span.trace == request.trace]
