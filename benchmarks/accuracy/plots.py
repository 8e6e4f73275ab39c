"""The figures, as SVG and PNG: light, colour-blind safe (Okabe and Ito's palette), every interval drawn."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")
"""With the colours, 77 different looks."""


def figures(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw all figures of the results; returns the files."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "ponder", "svg.fonttype": "none", "font.size": 9, "figure.dpi": 120})
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for task in results["tasks"]:
        points = [point for point in results["points"] if point["task"] == task]
        early = [point for point in points if stops(point)]
        rest = [point for point in points if point not in early]
        if len(points) > 1:
            made += of_task(results, task, rest, folder / f"accuracy-{task}")
        if early:
            plain = [point for point in points if point["key"].startswith("small/vote@")]
            made += of_task(results, task, [*plain, *early], folder / f"savings-{task}")
    for law in results["coverage"]:
        made += of_coverage(law, folder)
    return made


def stops(point: Mapping[str, Any]) -> bool:
    """Whether a point is of a strategy that decides by itself when to stop sampling."""
    return str(point["label"]).startswith("vote, ") or point["label"] == "auto"


def of_task(results: Mapping[str, Any], task: str, points: Sequence[Mapping[str, Any]], stem: Path) -> Iterable[Path]:
    """Accuracy against generated tokens, one line a strategy."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.8, 4.6), layout="constrained")
    axes = figure.subplots()
    for at, label in enumerate(dict.fromkeys(named(point) for point in points)):
        line(axes, [point for point in points if named(point) == label], label, at)
    for role, style in (("small", "--"), ("large", ":")):
        some = [c for c in results["ceilings"] if c["task"] == task and c["role"] == role and c["k"] <= 64]
        if some and stem.name.startswith("accuracy"):
            xs, ys = [c["tokens"] for c in some], [100 * c["value"] for c in some]
            axes.plot(xs, ys, style, color="#888888", lw=1, label=f"{role}: some sample right (pass@n)")
    axes.set(xscale="log", xlabel="generated tokens per problem, all of them", ylabel="right, %")
    axes.xaxis.set_major_formatter(whole)
    axes.xaxis.set_minor_formatter(whole)
    axes.tick_params(axis="x", which="minor", labelsize=6)
    count = max(point["problems"] for point in points)
    axes.set_title(f"{task}: {count} problems ({results['split']}), 95% intervals over problems", fontsize=9)
    axes.grid(alpha=0.25)
    figure.legend(fontsize=7, frameon=False, loc="outside right upper")
    yield from saved(figure, stem)


def whole(value: float, place: int) -> str:
    """A tick's number of tokens, at 1, 2 and 5 times a power of ten."""
    return f"{value:,.0f}" if f"{value:.0e}"[0] in "125" else ""


def named(point: Mapping[str, Any]) -> str:
    role, _, rest = str(point["key"]).partition("/")
    live = ", live" if rest.endswith("@live") else ""
    return f"{role}: {point['label']}{live}"


def line(axes: Any, points: Sequence[Mapping[str, Any]], label: str, at: int) -> None:
    """One strategy: its points by cost, joined, with their intervals: a band, or a bar where there is one point."""
    points = sorted(points, key=lambda point: point["tokens"])
    xs, right = [point["tokens"] for point in points], [point["right"] for point in points]
    ys, low, high = ([100 * each[key] for each in right] for key in ("value", "low", "high"))
    mark, colour = MARKS[at % len(MARKS)], COLOURS[at % len(COLOURS)]
    dashed = "--" if label.startswith("large") else "-"
    axes.plot(xs, ys, dashed, marker=mark, color=colour, ms=4 if len(xs) > 1 else 7, lw=1.3, label=label)
    if len(xs) > 1:
        axes.fill_between(xs, low, high, color=colour, alpha=0.07, lw=0)
    else:
        axes.vlines(xs, low, high, color=colour, lw=1)


def of_coverage(law: Mapping[str, Any], folder: Path) -> Iterable[Path]:
    """Coverage against samples, and the fitted law."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    axes = figure.subplots()
    ks, told = law["k"], law["coverage"]
    axes.fill_between(ks, [100 * c["low"] for c in told], [100 * c["high"] for c in told], color="#0072B2", alpha=0.15)
    axes.plot(ks, [100 * c["value"] for c in told], "o", color="#0072B2", label="coverage (pass@k), 95% interval")
    a, b = law["a"]["value"], law["b"]["value"]
    fit = [100 * 2.718281828459045 ** (a * k**b) for k in ks]
    axes.plot(ks, fit, "--", color="#D55E00", label=f"exp({a:.2f} k^{b:.2f})")
    axes.set(xscale="log", xlabel="samples per problem, k", ylabel="problems with a right sample, %", ylim=(0, 100))
    axes.set_title(f"{law['task']}, {law['model']}: {law['problems']} problems", fontsize=9)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)
    yield from saved(figure, folder / f"coverage-{law['task']}-{law['model']}")


def saved(figure: Any, stem: Path) -> Iterable[Path]:
    """The figure in both formats, the same bytes for the same figure."""
    for ending, about in ((".svg", {"Date": None}), (".png", {})):
        figure.savefig(stem.with_suffix(ending) if "." not in stem.name else f"{stem}{ending}", metadata=about)
        yield Path(f"{stem}{ending}")
