"""The results as a page: every table with its intervals, what was missed as well as what was met."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.accuracy.plots import stops

Results = Mapping[str, Any]

INTRO = """# What pays: accuracy against generated tokens

{command}

draws nothing: it reads the pools in `docs/results/data/accuracy`, replays the strategies' own code on them, and writes
this page, `accuracy.json` and the figures. Values in percent; intervals are 95%, from a paired bootstrap over problems
(10,000 resamples). An answer is right where reasoning-gym's checker gives exactly 1.0. Tokens are all that were
generated for a problem: those of samples that were aborted or lost the vote, and a verifier's own, too.

**The models are dequantised 4-bit models**: {models}. Their absolute numbers say nothing
about the models as their authors publish them. Machine: {machine}.

Settings, prompts and difficulty were chosen on dev seeds and committed before any result on test
seeds was looked at: `pools.toml` {pools}, `strategies.toml` {strategies} (SHA-256, first
12 digits). three_sum was added, and its settings frozen, when the results of the other tasks were known, and none of
its own. Each problem is replayed in {resamples} random orders of its samples.
"""


def page(results: Results, command: str, models: Sequence[str], notes: str = "") -> str:
    """The whole page; `notes` are what its authors have to say, shown behind the summary."""
    frozen = results["frozen"]
    head = INTRO.format(
        command=f"    {command}",
        models=", ".join(models),
        machine="; ".join(results["machine"]),
        pools=frozen["pools"][:12],
        strategies=frozen["strategies"][:12],
        resamples=results["resamples"],
    )
    parts = [
        head,
        claims(results),
        notes,
        *(task(results, name) for name in results["tasks"]),
        live(results),
        prompts(results),
    ]
    parts += [coverage(law) for law in results["coverage"]]
    return "\n".join(part for part in parts if part)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)]) + "\n"


def percent(interval: Mapping[str, float], sign: str = "") -> str:
    """`51.0 (43.2 … 58.9)`."""
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:{sign}.1f} ({low:{sign}.1f} … {high:{sign}.1f})"


def claims(results: Results) -> str:
    """What was to be shown, and whether it was."""
    rows = []
    for claim in results["claims"]:
        if claim["difference"] is None:
            rows.append([claim["why"], claim["task"], claim["ours"], claim["theirs"], "not measured", "", ""])
            continue
        low, share = claim["difference"]["low"], claim["token_ratio"]
        met = low > -0.02 and share["value"] <= 0.6 if claim["saves"] else low > 0
        ours = f"{claim['ours']}: {100 * claim['ours_right']:.1f}"
        theirs = f"{claim['theirs']}: {100 * claim['theirs_right']:.1f}"
        cost = f"{share['value']:.2f} ({share['low']:.2f} … {share['high']:.2f})"
        rows.append(
            [claim["why"], claim["task"], ours, theirs, percent(claim["difference"], "+"), cost, verdict(claim, met)]
        )
    head = ["question", "task", "ours", "theirs", "difference, points", "tokens, ours / theirs", "shown"]
    return "## In short\n\n" + table(head, rows)


def verdict(claim: Mapping[str, Any], met: bool) -> str:
    return f"**{'yes' if met else 'no'}** ({claim['problems']} problems)"


def task(results: Results, name: str) -> str:
    """One task: its samples, its strategies, its figure."""
    about = results["tasks"][name]
    config = ", ".join(f"{key} {value}" for key, value in about["config"].items()) or "default settings"
    told = f"`{about['dataset']}` ({config}). The best constant answer gets {100 * about['constant']:.0f}%.\n"
    pools = [pool for pool in results["pools"] if pool["task"] == name]
    points = [point for point in results["points"] if point["task"] == name]
    figure = f"![{name}](accuracy/accuracy-{name}.svg)\n" if len(points) > 1 else ""
    if any(stops(point) for point in points):
        figure += f"\n![{name}, votes that stop early](accuracy/savings-{name}.svg)\n"
    return "\n".join([f"## {name}\n", told, figure, samples(pools), strategies(points)])


def samples(pools: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            pool["model"],
            pool["wording"],
            f"{pool['temperature']:g}",
            f"{pool['problems']} x {pool['samples']}",
            percent(pool["mean"]),
            percent(pool["ceiling"]),
            f"{100 * pool['unparsed']:.1f}",
            f"{100 * pool['cut']:.1f}",
            f"{pool['tokens']:.0f}",
        ]
        for pool in pools
    ]
    head = ["model (dequantised 4-bit)", "prompt", "T", "problems x n", "right, mean sample", "ceiling, pass@n"]
    return table([*head, "no answer parsed", "cut off", "tokens a sample"], rows)


def strategies(points: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            point["key"],
            percent(point["right"]),
            f"{point['tokens']:.0f}",
            f"{point['sequential']:.0f}" if not point["key"].endswith("@live") else "",
            f"{100 * point['unanswered']:.1f}",
            point["problems"],
        ]
        for point in points
    ]
    return table(["model / strategy @ n", "right", "tokens", "sequential tokens", "unanswered", "problems"], rows)


def live(results: Results) -> str:
    """What ran against an engine."""
    rows = [
        [
            run["task"],
            run["label"],
            run["model"],
            run["problems"],
            percent(run["right"]),
            f"{run['spent']:.0f} (most {run['most']}, {run['verifier_tokens']:.0f} the verifier's)",
            f"{run['seconds']:.1f}",
            run["flying"],
            f"{100 * run['unanswered']:.1f}",
            f"{100 * run['cut']:.1f}",
        ]
        for run in results["live"]
    ]
    head = ["task", "strategy", "model (dequantised 4-bit)", "problems", "right", "tokens a problem"]
    head += ["wall seconds (median)", "problems at once", "unanswered", "ended by the budget"]
    return "## Live, at most 1,000 tokens a problem\n\n" + table(head, rows) if rows else ""


def prompts(results: Results) -> str:
    """Each prompt on both models, greedy: the task that was asked with most of them."""
    greedy = [pool for pool in results["pools"] if not pool["temperature"]]
    wordings = {name: {pool["wording"] for pool in greedy if pool["task"] == name} for name in results["tasks"]}
    name = max(wordings, key=lambda each: len(wordings[each]), default="")
    if not name or len(wordings[name]) < 3:
        return ""
    rows = [
        [pool["wording"], pool["model"], percent(pool["mean"]), f"{pool['tokens']:.0f}"]
        + [f"{100 * pool[key]:.1f}" for key in ("unparsed", "cut")]
        for pool in sorted(greedy, key=lambda pool: (pool["wording"], pool["model"]))
        if pool["task"] == name
    ]
    head = ["prompt", "model (dequantised 4-bit)", "right, greedy", "tokens", "no answer parsed", "cut off"]
    return f"## Prompts, on {name}\n\n" + table(head, rows)


def coverage(law: Mapping[str, Any]) -> str:
    """How coverage grows with samples."""
    rows = [[k, percent(value)] for k, value in zip(law["k"], law["coverage"], strict=True)]
    a, b = (f"{law[key]['value']:.2f} ({law[key]['low']:.2f} … {law[key]['high']:.2f})" for key in ("a", "b"))
    told = (
        f"{law['problems']} problems, {law['tokens']:.0f} tokens a sample. Fitted: log(coverage) = a · k^b with "
        f"a = {a}, b = {b}; the largest miss is {100 * law['error']:.1f} points.\n"
    )
    figure = f"![coverage](accuracy/coverage-{law['task']}-{law['model']}.svg)\n"
    title = f"## Coverage on {law['task']}, {law['model']} (dequantised 4-bit)\n"
    return "\n".join([title, figure, told, table(["samples, k", "some sample right"], rows)])
