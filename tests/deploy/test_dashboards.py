"""Dashboards: what is committed is what the code makes, and every panel can be read."""

import json
import re

import pytest

from deploy.grafana.__main__ import differing
from deploy.grafana.queries import FOLDER, queries

DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
PANELS = [(name, panel) for name, made in DASHBOARDS.items() for panel in made["panels"] if panel["type"] != "row"]


def named(panel):
    return f"{panel[0]}: {panel[1]['title']}"


def test_the_committed_files_are_what_the_code_makes():
    assert differing() == [], "run `python -m deploy.grafana`"


def test_no_query_hides_that_there_is_no_data():
    assert not [query for query in queries() if re.search(r"or\s+(on\s*\(\)\s*)?vector", query.text)]


@pytest.mark.parametrize("panel", PANELS, ids=named)
def test_a_panel_can_be_read(panel):
    _, made = panel
    assert len(made["description"]) > 5
    assert made["fieldConfig"]["defaults"]["unit"]
    assert made["datasource"] == {"type": "prometheus", "uid": "$datasource"}
    assert all(target["legendFormat"] for target in made["targets"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_lie_beside_each_other_in_full_rows(name):
    taken = set()
    for panel in DASHBOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    height = max(y for _, y in taken) + 1
    assert len(taken) == 24 * height


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_exists_and_is_used(name):
    made = DASHBOARDS[name]
    asked = json.dumps(made["panels"])
    variables = {one["name"] for one in made["templating"]["list"]}
    assert set(re.findall(r"\$(\w+)", asked)) - {"__rate_interval", "__range"} == variables
