"""The servers that are measured, each as its users start it: one process, no database, no key, the same engine."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.overhead import peers
from benchmarks.overhead.engine import MODEL
from server.paths import ROOT

VOTES = 64
PASS, STREAM, VOTE, ALONE = "pass-through", "stream", "vote", "vote, a request a sample"
Fields = Mapping[str, Any]
NO_VOTE: Mapping[str, Fields | str] = {PASS: {}, STREAM: {"stream": True}, VOTE: "has no vote", ALONE: "has no vote"}


@dataclass(frozen=True)
class Place:
    """Where one gateway runs: its engine, the port it is to take, another free port, a folder for its files."""

    engine: str
    port: int
    spare: int
    folder: Path


@dataclass(frozen=True)
class Gateway:
    """One server: how it is started, and by which fields of a chat request it does each kind of work, or why it cannot.

    `health` is a path to look at while it starts and to ping under load; `setup` a path and a body to post at first.
    """

    name: str
    command: Callable[[Place], Sequence[str | Path]]
    kinds: Mapping[str, Fields | str]
    health: str
    environment: Mapping[str, str] = field(default_factory=dict)
    setup: Callable[[Place], tuple[str, Fields]] | None = None


def ponder(arguments: Sequence[str] = ()) -> Gateway:
    vote = {"name": "self_consistency", "n": VOTES, "early_stop": "none", "prompt": "none"}
    alone = {"name": "short_m", "n": VOTES, "m": VOTES, "min_tokens": 0, "prompt": "none"}

    def command(at: Place) -> Sequence[str]:
        named = ("--engine-url", at.engine, "--port", str(at.port))
        return [sys.executable, "-m", "server", "serve", *named, *arguments]

    kinds: dict[str, Fields | str] = {
        PASS: {},
        STREAM: {"stream": True},
        VOTE: {"reasoning_strategy": vote},
        ALONE: {"reasoning_strategy": alone},
    }
    return Gateway("Ponder", command, kinds, "/health", {"PYTHONPATH": str(ROOT)})


def litellm() -> Gateway:
    def command(at: Place) -> Sequence[str | Path]:
        served = {"model": f"openai/{MODEL}", "api_base": f"{at.engine}/v1", "api_key": "EMPTY"}
        config = at.folder / "litellm.json"  # YAML takes JSON
        config.write_text(json.dumps({"model_list": [{"model_name": MODEL, "litellm_params": served}]}))
        where = ("--host", "127.0.0.1", "--port", str(at.port), "--num_workers", "1")
        return [peers.program("litellm", "litellm"), "--config", config, *where]

    environment = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true", "LITELLM_TELEMETRY": "False"}
    return Gateway("LiteLLM", command, NO_VOTE, "/health/liveliness", environment)


def router() -> Gateway:
    def command(at: Place) -> Sequence[str | Path]:
        where = ("--host", "127.0.0.1", "--port", str(at.port), "--prometheus-port", str(at.spare))
        return [
            peers.program("vllm-router", "vllm-router"),
            "--worker-urls",
            at.engine,
            "--policy",
            "round_robin",
            *where,
        ]

    return Gateway("vllm-router", command, NO_VOTE, "/health")


def optillm() -> Gateway:
    def command(at: Place) -> Sequence[str | Path]:
        where = ("--host", "127.0.0.1", "--port", str(at.port), "--base-url", f"{at.engine}/v1", "--model", MODEL)
        return [peers.program("optillm", "optillm"), *where]

    kinds: dict[str, Fields | str] = {
        PASS: {"model": f"none-{MODEL}"},
        STREAM: "streams only what has come as a whole",
        VOTE: {"optillm_approach": "majority_voting", "k": VOTES},
        ALONE: "votes over one request",
    }
    return Gateway("optillm", command, kinds, "/health", {"OPENAI_API_KEY": "EMPTY"})


def its_hub() -> Gateway:
    def setup(at: Place) -> tuple[str, Fields]:
        server = {"endpoint": f"{at.engine}/v1", "api_key": "EMPTY", "model": MODEL}
        vote = {"alg": "self-consistency", "regex_patterns": [r"\\boxed\{([^}]+)\}"], "budget": 1}
        return "/configure", server | vote

    def command(at: Place) -> Sequence[str | Path]:
        return [peers.program("its_hub", "its-iaas"), "--host", "127.0.0.1", "--port", str(at.port)]

    kinds: dict[str, Fields | str] = {
        PASS: {"budget": 1},
        STREAM: "streams only what has come as a whole",
        VOTE: "asks for each sample by itself",
        ALONE: {"budget": VOTES},
    }
    return Gateway("its_hub", command, kinds, "/docs", setup=setup)
