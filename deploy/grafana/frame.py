"""What all dashboards have in common: rows, variables, links to each other."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.grafana.panels import SOURCE, Panels

TAG = "ponder"


def dashboard(
    name: str, title: str, description: str, variables: list[Builder[VariableModel]], rows: Mapping[str, Panels]
) -> builders.Dashboard:
    """A dashboard of titled rows; the first variable is where the data comes from."""
    made = builders.Dashboard(f"Ponder / {title}").uid(f"ponder-{name}").description(description).tags([TAG])
    made = made.time("now-1h", "now").refresh("30s").timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR)
    link = builders.DashboardLink("Ponder").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    made = made.link(link.as_dropdown(True).keep_time(True).include_vars(True))
    for variable in (source(), *variables):
        made = made.with_variable(variable)
    for row, panels in rows.items():
        made = made.with_row(builders.Row(row))
        for panel in panels:
            made = made.with_panel(panel)
    return made


def source() -> builders.DatasourceVariable:
    """Which Prometheus."""
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def choice(name: str, label: str, metric: str, of: str) -> builders.QueryVariable:
    """Values of a label of some metric, all of them at first."""
    made = builders.QueryVariable(name).label(label).datasource(SOURCE).query(f"label_values({metric}, {of})")
    made = made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    made = made.multi(True).include_all(True).all_value(".*")
    return made.current(VariableOption(text="All", value="$__all", selected=True))


def strategy() -> builders.QueryVariable:
    return choice("strategy", "Strategy", "ponder_requests_total", "strategy")


def model() -> builders.QueryVariable:
    return choice("model", "Model", "ponder_requests_total", "model")


def price(name: str, label: str, value: str) -> builders.TextBoxVariable:
    """What a million tokens cost, in whichever currency."""
    return builders.TextBoxVariable(name).label(label).default_value(value)
