"""What a search's trace tells of its speed: tokens read again, waiting at barriers, tokens thrown away, cache hits."""

from collections.abc import Mapping, Sequence
from typing import Any

Chunk = Mapping[str, Any]
Timed = tuple[float, Chunk]
"""A streamed event of a trace and when it came, in seconds since the request."""


def waiting(events: Sequence[Timed]) -> float:
    """Of the time that places in waves were taken, the share in which their sequence had ended and others had not.

    A wave is what grows between two moments at which nothing grows: its barrier is where the search waits for all.
    """
    waves: list[list[tuple[float, float]]] = []
    opened: dict[str, float] = {}
    for when, event in events:
        if event["event"] == "opened":
            if not opened:
                waves.append([])
            opened[event["id"]] = when
        elif event["event"] in ("closed", "lost") and event["id"] in opened:
            waves[-1].append((opened.pop(event["id"]), when))
    taken = idle = 0.0
    for wave in waves:
        end = max(closed for _, closed in wave) if wave else 0.0
        taken += sum(end - begun for begun, _ in wave)
        idle += sum(end - closed for _, closed in wave)
    return idle / taken if taken else 0.0


def figures(trace: Mapping[str, Any], events: Sequence[Timed], prompt: int, block: int) -> dict[str, float]:
    """Shares of one search, by its whole trace and its events. `prompt` and `block` are lengths in tokens.

    `prefill`: prompt tokens that the engine computed beyond one reading of the prompt, to tokens generated.
    `discarded`: sampled tokens that are on no path which is still in the search. `hits`: of the tokens in whole blocks
    that an engine could have had in its cache, those it had; steps are whole blocks long, so a call misses what the
    prompt has beyond its last whole block, and where it has none, that block: the last token is never cached.
    """
    tokens = trace["tokens"]
    sampled = tokens["answer"] + tokens["reasoning"]
    generated = sampled + tokens["verifier"]
    cachable = tokens["prompt"] - prompt - (tokens["calls"] - 1) * (prompt % block or block)
    return {
        "generated": generated,
        "calls": tokens["calls"],
        "prefill": max(0, tokens["prompt"] - tokens["cached"] - prompt) / generated,
        "hits": tokens["cached"] / cachable if cachable > 0 else 1.0,
        "discarded": discarded(trace["candidates"], sampled),
        "waiting": waiting(events),
    }


def discarded(candidates: Sequence[Mapping[str, Any]], sampled: int) -> float:
    """The share of sampled tokens that no path still in the search, finished or not, holds."""
    by_id = {candidate["id"]: candidate for candidate in candidates}
    parents = {candidate["parent"] for candidate in candidates}
    leaves = [one for one in candidates if one["id"] not in parents and not one["pruned"]]
    kept: set[str] = set()
    for leaf in leaves:
        id = leaf["id"]
        while id in by_id and id not in kept:
            kept.add(id)
            id = by_id[id]["parent"]
    own = sum(grown(by_id[id], by_id) for id in kept)
    return max(0.0, 1 - own / sampled) if sampled else 0.0


def grown(candidate: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> int:
    """The tokens of a candidate's last step."""
    parent = by_id.get(candidate["parent"])
    return int(candidate["tokens"]) - (int(parent["tokens"]) if parent else 0)
