"""Docs tell what is there: names, routes, settings, imports."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase, CompletionCreateParamsStreaming

from server import bounds, metrics
from server.app import create_app
from server.fields import FIELDS, markdown, of_kind
from server.resolve import resolve
from server.schema import ChatRequest
from server.settings import Settings
from strategies.prompts import TEXTS
from strategies.registry import Registry

ROOT = Path(__file__).parent.parent
README, API, SETTINGS = (ROOT / name for name in ("README.md", "docs/api.md", "docs/settings.md"))


def table_names(text, heading):
    section = text.partition(heading)[2].partition("\n## ")[0]
    return [match[1] for match in re.finditer(r"^\| `(\w+)`", section, re.MULTILINE)]


def test_the_readme_lists_every_strategy_with_its_settings_and_no_other():
    text = README.read_text()
    assert table_names(text, "## Strategies") == list(Registry().strategies)
    for name, kind in Registry().strategies.items():
        [row] = re.findall(rf"^\| `{name}` \|.*\|(.*)\|$", text, re.MULTILINE)
        own = set(kind.model_fields) - {"name", "prompt", "temperature", "top_p"}
        assert set(re.findall(r"`(\w+)`", row)) == own


def test_the_page_on_strategies_tells_of_each_in_order_and_of_every_prompt():
    page = (ROOT / "docs/strategies.md").read_text()
    assert re.findall(r"^### `(\w+)`$", page, re.MULTILINE) == list(Registry().strategies)
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(TEXTS)


def test_the_readme_names_every_verifier():
    assert all(f"`{name}`" in README.read_text() for name in Registry().verifiers)


def test_the_api_page_lists_every_route_and_no_other():
    told = set(re.findall(r"`(?:GET|POST) (/[^`]*)`", API.read_text()))
    paths = create_app(Settings()).openapi()["paths"]
    assert told == set(paths)


def test_the_api_page_shows_the_table_of_fates():
    told = API.read_text().partition("<!-- python -m server.fields -->\n")[2]
    assert told.startswith(markdown()), "run `python -m server.fields` and paste what it prints"


def test_the_page_on_security_shows_the_limits_that_hold():
    told = (ROOT / "SECURITY.md").read_text().partition("<!-- python -m server.bounds -->\n")[2]
    assert told.startswith(bounds.markdown()), "run `python -m server.bounds` and paste what it prints"


def test_the_page_on_metrics_tells_of_each_with_its_labels_and_of_no_other():
    page = (ROOT / "docs/metrics.md").read_text()
    told = page.partition("<!-- python -m server.metrics -->\n")[2]
    assert told.startswith(metrics.markdown()), "run `python -m server.metrics` and paste what it prints"
    assert set(re.findall(r"ponder_\w+", page)) == {family.told for family in metrics.Metrics().families}


def test_every_defence_has_tests_that_exist():
    table = (ROOT / "SECURITY.md").read_text().partition("## Attacks")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("|")][2:]
    assert len(rows) > 10
    for row in rows:
        named = re.findall(r"`(tests/[^`]*)`", row.split("|")[-2])
        assert named, row
        for name in named:
            assert (ROOT / name).exists(), name


def test_the_table_knows_every_field_of_the_official_client():
    assert set(CompletionCreateParamsStreaming.__annotations__) | set(
        CompletionCreateParamsBase.__annotations__
    ) <= set(FIELDS)


def test_a_field_is_part_of_the_request_if_it_has_an_effect():
    assert set(ChatRequest.model_fields) == {*of_kind("honoured"), *of_kind("passed on")}


def test_the_settings_page_is_a_valid_file_that_names_every_setting():
    [example] = re.findall(r"```toml\n(.*?)```", SETTINGS.read_text(), re.DOTALL)
    told = tomllib.loads(example)
    settings = Settings(**told)
    assert set(told) == set(Settings.model_fields)
    for table in (
        "server",
        "door",
        "pool",
        "defaults",
        "limits",
        "auth",
        "admission",
        "workers",
        "tracing",
        "idempotency",
    ):
        assert set(told[table]) == set(type(getattr(settings, table)).model_fields)
        assert getattr(settings, table) == getattr(Settings(), table), "the page shows the defaults"
    assert set(told["keys"]["alice"]) == set(type(settings.keys["alice"]).model_fields) - {"key"}
    assert set(told["engines"][0]) == set(type(settings.engines[0]).model_fields)


def test_the_readmes_request_is_valid():
    [request] = re.findall(r"-d '(\{.*?\})'", README.read_text(), re.DOTALL)
    asked = ChatRequest.model_validate_json(request)
    plan = resolve(asked, Settings(), Registry(), {"smollm2-135m": None})
    assert plan.strategy.name == "self_consistency"


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_tests_that_the_status_names_exist():
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")]
    for name in re.findall(r"`((?:tests/)?[\w/]*test_\w+\.py)`", (ROOT / "docs/status.md").read_text()):
        assert any(file == name or file.endswith(f"/{name}") for file in files), name


ALLOWED = {
    "strategies": {"strategies", "anyio", "pydantic"},
    "server": {"strategies", "server"},
    "training": {"strategies", "training"},
}
LOADED_IN_A_WORKER = {"math_verify", "sympy", "jsonschema", "referencing"}
"""Libraries that strategies import only where a worker runs them."""
LOADED_FOR_ASKING = {"httpx", "rich"}
"""Libraries of `ponder ask`."""


def test_the_server_loads_nothing_that_only_workers_and_commands_need():
    program = "import sys, strategies.registry, strategies.equality, server.__main__; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert (LOADED_IN_A_WORKER | LOADED_FOR_ASKING).isdisjoint(loaded.split())


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_run_one_way(package):
    ours = {"server", "strategies", "training", "benchmarks", "deploy", "tests"}
    for path in (ROOT / package).rglob("*.py"):
        for name in imported(path):
            if package == "strategies":
                allowed = ALLOWED[package] | LOADED_IN_A_WORKER
                assert name in allowed or name in sys.stdlib_module_names, f"{path} imports {name}"
            assert name not in ours - ALLOWED[package], f"{path} imports {name}"


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
