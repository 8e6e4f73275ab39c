"""The dashboards' queries, with what Grafana would put in the place of its variables."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"


@dataclass(frozen=True)
class Query:
    """One query of a panel; `text` is as the panel has it, `instant` whether it asks for one moment only."""

    dashboard: str
    panel: str
    legend: str
    text: str
    instant: bool
    variables: dict[str, str]

    def expr(self, window: str = "1m", span: str = "15m", **chosen: str) -> str:
        """PromQL for Prometheus: rates over `window`, "in this time" as `span`, and whatever is `chosen` of all."""
        values = {"__rate_interval": window, "__range": span, **self.variables, **chosen}
        text = self.text
        for name in sorted(values, key=len, reverse=True):
            text = text.replace(f"${name}", values[name])
        return text


def queries() -> list[Query]:
    """All queries of all dashboards, in their order."""
    return [query for path in sorted(FOLDER.glob("*.json")) for query in of(json.loads(path.read_text("utf-8")))]


def of(dashboard: dict[str, Any]) -> Iterator[Query]:
    """The queries of one dashboard."""
    listed = dashboard["templating"]["list"]
    variables = {one["name"]: one.get("allValue") or str(one["query"]) for one in listed if one["name"] != "datasource"}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield Query(
                dashboard["title"],
                panel["title"],
                target["legendFormat"],
                target["expr"],
                target.get("instant", False),
                variables,
            )
