"""The few kinds of panels that the dashboards are made of. A query is a pair of its legend and its PromQL."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import bargauge, common, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    FieldColorModeId,
    Panel,
    Threshold,
    ThresholdsConfig,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Queries = Mapping[str, str]
"""PromQL by legend, `{{label}}` in it."""
Panels = Sequence[Builder[Panel]]
SOURCE = DataSourceRef("prometheus", "$datasource")
WIDTH, STAT_HEIGHT, HEIGHT = 24, 4, 8
GREEN, YELLOW, RED = "green", "yellow", "red"
QUANTILES = (0.5, 0.95, 0.99)


def thresholds(yellow: float | None = None, red: float | None = None) -> Builder[ThresholdsConfig]:
    """Green, then yellow and red from these values on; the other way round where red is the lower one."""
    steps: list[tuple[float | None, str]] = [(None, GREEN)]
    if yellow is not None and red is not None and yellow < red:
        steps = [(None, GREEN), (yellow, YELLOW), (red, RED)]
    elif yellow is not None and red is not None:
        steps = [(None, RED), (red, YELLOW), (yellow, GREEN)]
    made = builders.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE)
    return made.steps([Threshold(value, colour) for value, colour in steps])


def queries(asked: Queries, instant: bool = False) -> list[Builder[Dataquery]]:
    """The targets of a panel, named A, B, C."""
    made: list[Builder[Dataquery]] = []
    for place, (legend, expr) in enumerate(asked.items()):
        query = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(chr(ord("A") + place))
        made.append(query.instant() if instant else query.range())
    return made


def number(
    title: str, description: str, expr: str, unit: str, *, yellow: float | None = None, red: float | None = None
) -> stat.Panel:
    """One figure with its recent course behind it, coloured by how bad it is."""
    panel = stat.Panel().title(title).description(description).datasource(SOURCE).height(STAT_HEIGHT).span(4)
    panel = panel.targets(queries({title: expr})).unit(unit).thresholds(thresholds(yellow, red)).no_value("none yet")
    panel = panel.graph_mode(options.BigValueGraphMode.AREA).color_mode(options.BigValueColorMode.VALUE)
    return panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))


def total(title: str, description: str, expr: str, unit: str = "short") -> stat.Panel:
    """A counter as it stands: exact, where a rate is an estimate."""
    panel = stat.Panel().title(title).description(description).datasource(SOURCE).height(STAT_HEIGHT).span(4)
    panel = panel.targets(queries({title: expr}, instant=True)).unit(unit).decimals(0).no_value("none yet")
    panel = panel.graph_mode(options.BigValueGraphMode.NONE).color_mode(options.BigValueColorMode.NONE)
    return panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))


def lines(title: str, description: str, asked: Queries, unit: str, *, stacked: bool = False) -> timeseries.Panel:
    """Values over time, with a legend that is a table of them."""
    panel = timeseries.Panel().title(title).description(description).datasource(SOURCE).height(HEIGHT).span(8)
    panel = panel.targets(queries(asked)).unit(unit).min(0).line_width(1).fill_opacity(60 if stacked else 10)
    panel = panel.show_points(options.VisibilityMode.NEVER).color_scheme(
        builders.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME)
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    legend = common.VizLegendOptions().show_legend(True).placement(options.LegendPlacement.BOTTOM)
    legend = legend.display_mode(options.LegendDisplayMode.TABLE).calcs(["mean", "max", "lastNotNull"])
    tooltip = common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING)
    return panel.legend(legend).tooltip(tooltip)


def bars(title: str, description: str, asked: Queries, unit: str) -> bargauge.Panel:
    """One bar for each series, as it stands now."""
    panel = bargauge.Panel().title(title).description(description).datasource(SOURCE).height(HEIGHT).span(8)
    panel = panel.targets(queries(asked, instant=True)).unit(unit).min(0).no_value("none yet")
    panel = panel.orientation(options.VizOrientation.HORIZONTAL).display_mode(options.BarGaugeDisplayMode.GRADIENT)
    return panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).thresholds(thresholds())


def heatmap_of(title: str, description: str, expr: str, unit: str) -> heatmap.Panel:
    """A histogram over time; `expr` gives rates of its buckets by `le`."""
    query = prometheus.Dataquery().expr(expr).legend_format("{{le}}").ref_id("A").range()
    query = query.format(PromQueryFormat.HEATMAP)
    panel = heatmap.Panel().title(title).description(description).datasource(SOURCE).height(HEIGHT).span(8)
    colours = heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Turbo").steps(64)
    panel = panel.with_target(query).calculate(False).color(colours).unit("short").show_legend()
    return panel.y_axis(heatmap.YAxisConfig().unit(unit)).cell_gap(1)
