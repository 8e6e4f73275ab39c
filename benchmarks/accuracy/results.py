"""Everything that the files of one split say, computed once: the report and the figures read it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

from rich.progress import track

from benchmarks.accuracy import pool, stats
from benchmarks.accuracy.evaluate import Point, between, ceiling, curve, greedy, pass_of, samples
from benchmarks.accuracy.freeze import Claim, Curve, load
from benchmarks.accuracy.pool import Pool
from benchmarks.accuracy.tasks import TASKS, constant

Points = dict[tuple[str, str], Point]
"""Points by task and by "model/label@n"."""


def compute(data: Path, split: str, frozen: Path, resamples: int) -> dict[str, Any]:
    """Read all pools and live runs of a split, replay the frozen curves, test the frozen claims.

    What is not complete is left out: the problems that are drawn first are those with short answers.
    """
    wanted, strategies_hash = load("strategies", frozen)
    chosen, pools_hash = load("pools", frozen)
    roles = {chosen[role]: role for role in ("small", "large", "smallest") if role in chosen}
    pools = [pool.read(path) for path in sorted(data.glob("*.jsonl.gz")) if f"-{split}-" in path.name]
    pools = [each for each in pools if len(each.problems) == each.about["count"]]
    sampled = [each for each in pools if each.about["temperature"] > 0]
    points: Points = {}
    for each in pools:
        if not each.about["temperature"] and each.about["wording"] == best_wording(chosen, each, roles):
            keep(points, roles, greedy(each))
    for entry in track(wanted.get("curve", ()), "replays"):
        for point in curves(made_curve(entry), sampled, chosen, roles, resamples):
            keep(points, roles, point)
    lived = [*pool_lines(sorted(data.glob(f"*-live-*-{split}.jsonl.gz")))]
    for about, lines in lived:
        keep(points, roles, live_point(about, lines), live=True)
    return {
        "split": split,
        "frozen": {"pools": pools_hash, "strategies": strategies_hash, "drawn_with": drawn_with(pools)},
        "resamples": resamples,
        "machine": sorted({f"{each.about['machine']}, vLLM {each.about['vllm']}" for each in pools}),
        "tasks": {name: about_task(name, split) for name in sorted({each.about["task"] for each in pools})},
        "pools": [{**samples(each), "role": roles.get(each.about["model"])} for each in pools],
        "ceilings": [line for each in sampled for line in ceilings(each, roles)],
        "points": [{**point.summary(), "key": key} for (_, key), point in points.items()],
        "live": [{**live_summary(about, lines)} for about, lines in lived],
        "claims": [tested(Claim(**entry), points) for entry in wanted.get("claim", ())],
        "coverage": [covered(each) for each in sampled if len(each.problems[0].samples) >= 1000],
    }


def made_curve(entry: Mapping[str, Any]) -> Curve:
    return Curve(**{**entry, "tasks": tuple(entry["tasks"]), "n": tuple(entry["n"])})


def best_wording(chosen: Mapping[str, Any], drawn: Pool, roles: Mapping[str, str]) -> str:
    """The wording that was chosen on dev for a task and a model."""
    task, model = drawn.about["task"], roles.get(drawn.about["model"], "")
    return str(chosen.get("wording", {}).get(task, {}).get(model, drawn.about["wording"]))


def curves(
    wanted: Curve, pools: Sequence[Pool], chosen: Mapping[str, Any], roles: Mapping[str, str], resamples: int
) -> Iterable[Point]:
    """A curve on each pool that it is for, as far as the pool's samples go."""
    for drawn in pools:
        fits = drawn.about["task"] in wanted.tasks and roles.get(drawn.about["model"]) == wanted.model
        if fits and drawn.about["wording"] == best_wording(chosen, drawn, roles):
            width = len(drawn.problems[0].samples)
            short = Curve(**{**asdict(wanted), "n": tuple(n for n in wanted.n if n <= width)})
            yield from curve(short, drawn, resamples)


def keep(points: Points, roles: Mapping[str, str], point: Point, live: bool = False) -> None:
    place = "live" if live else str(point.n)
    points[point.task, f"{roles.get(point.model, point.model)}/{point.label}@{place}"] = point


def pool_lines(paths: Iterable[Path]) -> Iterable[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each live file's first line, and its problems in order."""
    for path in paths:
        about, *lines = pool.lines(path)
        if len(lines) == about["count"]:
            yield about, sorted(lines, key=lambda line: int(line["index"]))


def live_point(about: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Point:
    """A live run as a point; its sequential cost is unknown, its wall time stands in the live table."""
    tokens = tuple(float(line["tokens"]) for line in lines)
    right = tuple(float(line["right"]) for line in lines)
    unanswered = fmean(line["answer"] is None for line in lines)
    return Point(about["task"], about["model"], about["label"], 1, right, tokens, tokens, unanswered)


def live_summary(about: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A live run's accuracy, tokens and wall time."""
    return {
        **{
            key: about[key] for key in ("task", "model", "label", "wording", "strategy", "verifier", "flying", "tokens")
        },
        "problems": len(lines),
        "right": asdict(stats.mean([float(line["right"]) for line in lines])),
        "spent": fmean(line["tokens"] for line in lines),
        "most": max(line["tokens"] for line in lines),
        "verifier_tokens": fmean(line["verifier_tokens"] for line in lines),
        "seconds": median(line["seconds"] for line in lines),
        "unanswered": fmean(line["answer"] is None for line in lines),
        "cut": fmean(line["cut"] is not None for line in lines),
    }


def about_task(name: str, split: str) -> dict[str, Any]:
    """A task's settings, and what the best constant answer to its first 100 problems gets."""
    problems = TASKS[name].problems("dev" if split == "dev" else "smoke" if split == "smoke" else "test", 100)
    return {"dataset": TASKS[name].dataset, "config": dict(TASKS[name].config), "constant": constant(problems)}


def drawn_with(pools: Sequence[Pool]) -> list[str]:
    """The hashes of the frozen files that pools were drawn with."""
    return sorted({str(each.about["frozen"]) for each in pools if each.about.get("frozen")})


def ceilings(drawn: Pool, roles: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    """pass@k at powers of two, with the tokens that k samples take."""
    width, tokens = len(drawn.problems[0].samples), samples(drawn)["tokens"]
    for power in range(width.bit_length()):
        told = {key: drawn.about[key] for key in ("task", "model", "wording")}
        k = 1 << power
        yield told | {"role": roles.get(told["model"]), "k": k, "tokens": k * tokens, **asdict(ceiling(drawn, k))}


def tested(claim: Claim, points: Points) -> dict[str, Any]:
    """A claim's numbers: the paired difference, and its share of the other's tokens; None where unmeasured."""
    told = asdict(claim)
    ours = points.get((claim.task, claim.ours))
    theirs = other(claim, points, ours)
    if ours is None or theirs is None:
        return told | {"difference": None}
    count = min(len(ours.right), len(theirs.right))
    difference = stats.difference(ours.right[:count], theirs.right[:count])
    share = stats.ratio(ours.tokens[:count], theirs.tokens[:count])
    return told | {
        "problems": count,
        "ours_right": fmean(ours.right[:count]),
        "theirs_right": fmean(theirs.right[:count]),
        "difference": asdict(difference),
        "token_ratio": asdict(share),
        "against": theirs.label,
    }


def other(claim: Claim, points: Points, ours: Point | None) -> Point | None:
    """What a claim compares with; `label@=` is a curve's mixture at our own mean tokens."""
    if not claim.theirs.endswith("@=") or ours is None:
        return points.get((claim.task, claim.theirs))
    stem = claim.theirs.removesuffix("=")
    same = [point for (task, key), point in points.items() if task == claim.task and key.startswith(stem)]
    return between(same, ours.cost) if same else None


def covered(drawn: Pool) -> dict[str, Any]:
    """Coverage at powers of two up to all samples, and the law fitted to it, with bootstrapped parameters."""
    width = len(drawn.problems[0].samples)
    ks = [1 << power for power in range(width.bit_length())]
    table = [[pass_of(problem, k) for k in ks] for problem in drawn.problems]

    def law(places: Sequence[int]) -> stats.Law:
        return stats.fitted(ks, [fmean(table[at][i] for at in places) for i in range(len(ks))])

    count = len(table)
    whole = law(range(count))
    return {
        **{key: drawn.about[key] for key in ("task", "model", "wording")},
        "problems": count,
        "k": ks,
        "coverage": [asdict(stats.mean([row[i] for row in table])) for i in range(len(ks))],
        "a": asdict(stats.bootstrap(count, lambda places: law(places).a, 2000)),
        "b": asdict(stats.bootstrap(count, lambda places: law(places).b, 2000)),
        "error": whole.error,
        "tokens": samples(drawn)["tokens"],
    }
