"""The figures, as SVG and PNG: light, colour-blind safe (Okabe and Ito's palette), every interval drawn."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X")


def figures(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw all figures of the results; returns the files."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "ponder", "svg.fonttype": "none", "font.size": 9, "figure.dpi": 120})
    folder.mkdir(parents=True, exist_ok=True)
    made = [file for task in results["tasks"] for file in of_task(results, task, folder)]
    for law in results["coverage"]:
        made += of_coverage(law, folder)
    return made


def of_task(results: Mapping[str, Any], task: str, folder: Path) -> Iterable[Path]:
    """Accuracy against generated tokens, one line a strategy."""
    from matplotlib.figure import Figure

    points = [point for point in results["points"] if point["task"] == task]
    if not points:
        return
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for at, label in enumerate(dict.fromkeys(named(point) for point in points)):
        line(axes, [point for point in points if named(point) == label], label, at)
    for role, style in (("small", "--"), ("large", ":")):
        some = [c for c in results["ceilings"] if c["task"] == task and c["role"] == role and c["k"] <= 64]
        if some:
            xs, ys = [c["tokens"] for c in some], [100 * c["value"] for c in some]
            axes.plot(xs, ys, style, color="#888888", lw=1, label=f"{role}: some sample right (pass@n)")
    axes.set(xscale="log", xlabel="generated tokens per problem, all of them", ylabel="right, %", ylim=(0, 100))
    count = points[0]["problems"]
    axes.set_title(f"{task}: {count} problems ({results['split']}), 95% intervals over problems", fontsize=9)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, frameon=False, loc="best")
    yield from saved(figure, folder / f"accuracy-{task}")


def named(point: Mapping[str, Any]) -> str:
    return str(point["key"]).partition("@")[0].replace("/", ": ")


def line(axes: Any, points: Sequence[Mapping[str, Any]], label: str, at: int) -> None:
    """One strategy: its points by cost, joined, each with its interval."""
    points = sorted(points, key=lambda point: point["tokens"])
    xs, right = [point["tokens"] for point in points], [point["right"] for point in points]
    ys = [100 * each["value"] for each in right]
    spread = [
        [100 * max(0.0, each["value"] - each["low"]) for each in right],
        [100 * max(0.0, each["high"] - each["value"]) for each in right],
    ]
    look = {"color": COLOURS[at % len(COLOURS)], "marker": MARKS[at % len(MARKS)], "ms": 4, "lw": 1.3}
    axes.errorbar(xs, ys, yerr=spread, label=label, elinewidth=0.7, capsize=2, alpha=0.9, **look)


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
