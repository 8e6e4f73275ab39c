"""What it costs and who pays: budgets, keys, prompts. Prices are variables of the dashboard."""

from collections.abc import Callable

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana import frame
from deploy.grafana.panels import Panels, bars, heatmap_of, lines, number
from deploy.grafana.promql import BOTH, MODEL, STRATEGY, buckets, increase, quantile, rate, ratio

KEY = 'key=~"$key"'
REQUESTS, CUTS, USED = "ponder_requests_total", "ponder_budget_cuts_total", "ponder_budget_used_ratio"
KEY_TOKENS, KEY_REQUESTS, PROMPT = "ponder_key_tokens_total", "ponder_key_requests_total", "ponder_prompt_tokens_total"
PRICES = {"prompt": "$prompt_price", "completion": "$completion_price"}
MILLION, HOUR = "1e6", "3600"


def budgets() -> Dashboard:
    variables = [
        frame.choice("key", "Key", KEY_REQUESTS, "key"),
        frame.strategy(),
        frame.model(),
        frame.price("prompt_price", "Price of a million prompt tokens", "0.20"),
        frame.price("completion_price", "Price of a million completion tokens", "0.80"),
    ]
    rows = {"Now": now(), "Cost by key": keys(), "Budgets": limits(), "Prompts": prompts()}
    about = "Tokens and cost by key, budgets and what cuts them, and what prefix caches save. Set the prices above."
    return frame.dashboard("budgets", "Budgets and cost", about, [*variables], rows)


def cost(tokens: Callable[[str, str, str], str], by: str = "") -> str:
    """Money for tokens: each second with `rate`, or in the dashboard's time with `increase`."""
    asked = {price: f'{KEY},purpose="{purpose}"' for purpose, price in PRICES.items()}
    parts = (f"{tokens(KEY_TOKENS, selector, by)} * {price}" for price, selector in asked.items())
    return f"({' + '.join(parts)}) / {MILLION}"


def now() -> Panels:
    cut = ratio(rate(CUTS, BOTH), rate(REQUESTS, BOTH))
    return [
        number(
            "Cost an hour",
            "At the present rate of tokens and the prices above.",
            f"{cost(rate)} * {HOUR}",
            "currencyUSD",
        ),
        number(
            "Cost in this time",
            "Of all tokens in the dashboard's time, at the prices above.",
            cost(increase),
            "currencyUSD",
        ),
        number("Tokens", "Prompt and completion tokens of these keys, each second.", rate(KEY_TOKENS, KEY), "short"),
        number(
            "Cut by a budget",
            "The share of requests whose search was ended by a limit.",
            cut,
            "percentunit",
            yellow=0.1,
            red=0.3,
        ),
        number(
            "Budget used",
            "95% of requests used no more of their tokens than this.",
            quantile(0.95, USED, f'{STRATEGY},limit="tokens"'),
            "percentunit",
            yellow=0.9,
            red=0.99,
        ),
        number(
            "Read from caches",
            "The share of prompt tokens that engines found in their prefix caches.",
            ratio(rate(PROMPT, f'{MODEL},cache="hit"'), rate(PROMPT, MODEL)),
            "percentunit",
        ),
    ]


def keys() -> Panels:
    return [
        lines(
            "Cost an hour",
            "By key, at the prices above.",
            {"{{key}}": f"{cost(rate, 'key')} * {HOUR}"},
            "currencyUSD",
            stacked=True,
        ).span(6),
        bars(
            "Cost in this time", "By key, at the prices above.", {"{{key}}": cost(increase, "key")}, "currencyUSD"
        ).span(6),
        lines(
            "Tokens by key",
            "Each second.",
            {"{{key}} {{purpose}}": rate(KEY_TOKENS, KEY, "key, purpose")},
            "short",
            stacked=True,
        ).span(6),
        lines(
            "Requests by key",
            "Each second, by how they ended.",
            {"{{key}} {{outcome}}": rate(KEY_REQUESTS, KEY, "key, outcome")},
            "reqps",
            stacked=True,
        ).span(6),
    ]


def limits() -> Panels:
    used = {f"{{{{limit}}}} p{q:g}": quantile(q / 100, USED, STRATEGY, "limit") for q in (50, 95)}
    return [
        lines("Budget used", "How much of each limit requests took.", used, "percentunit").span(6),
        heatmap_of(
            "Tokens used of the budget",
            "How many requests used which share of their tokens.",
            buckets(USED, f'{STRATEGY},limit="tokens"'),
            "percentunit",
        ).span(6),
        lines(
            "Cuts by limit",
            "Searches that were ended by a limit, by the first one they reached.",
            {"{{limit}}": rate(CUTS, BOTH, "limit")},
            "reqps",
            stacked=True,
        ).span(6),
        lines(
            "Cut requests by strategy",
            "Their share of all requests of the strategy.",
            {"{{strategy}}": ratio(rate(CUTS, BOTH, "strategy"), rate(REQUESTS, BOTH, "strategy"))},
            "percentunit",
        ).span(6),
    ]


def prompts() -> Panels:
    hits = ratio(rate(PROMPT, f'{MODEL},cache="hit"', "model"), rate(PROMPT, MODEL, "model"))
    return [
        lines(
            "Prompt tokens",
            "That engines had to read for Ponder, each second: found in a prefix cache (hit) or computed (miss).",
            {"{{cache}}": rate(PROMPT, MODEL, "cache")},
            "short",
            stacked=True,
        ).span(12),
        lines(
            "Prefix cache hits",
            "The share of prompt tokens that needed no computing.",
            {"{{model}}": hits},
            "percentunit",
        ).span(12),
    ]
