"""Is it up, how fast is it, who is waiting: what one looks at first."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana import frame
from deploy.grafana.panels import Panels, heatmap_of, lines, number, total
from deploy.grafana.promql import BOTH, buckets, quantile, quantiles, rate, ratio

REQUESTS = "ponder_requests_total"
DURATION, FIRST_BYTE = "ponder_request_duration_seconds", "ponder_time_to_first_byte_seconds"
FIRST_TOKEN, QUEUE = "ponder_time_to_first_answer_token_seconds", "ponder_queue_seconds"
SINCE = "since the servers that run now were started; a counter as it stands, exact."


def overview() -> Dashboard:
    rows = {
        "Now": now(),
        "Since the start": since(),
        "Traffic": traffic(),
        "Latency": latency(),
        "Admission": admission(),
        "Health": health(),
    }
    about = "Requests to Ponder: how many, how fast, how they end, and what they wait for."
    return frame.dashboard("overview", "Overview", about, [frame.strategy(), frame.model()], rows)


def now() -> Panels:
    failed = ratio(rate(REQUESTS, f'{BOTH},outcome="error"'), rate(REQUESTS, BOTH))
    return [
        number("Requests", "Requests that ended, each second.", rate(REQUESTS, BOTH), "reqps"),
        number("Running", "Requests at work now.", "sum (ponder_requests_running)", "short"),
        number("Failed", "The share of requests that ended in an error.", failed, "percentunit", yellow=0.01, red=0.05),
        number(
            "Slow answers",
            "95% of requests took no longer than this, from their arrival to their end.",
            quantile(0.95, DURATION, BOTH),
            "s",
            yellow=60,
            red=300,
        ),
        number("Queue", "Requests that wait to be let in.", "sum (ponder_queue_length)", "short", yellow=16, red=256),
        number(
            "Engines in service",
            "The share of engines that are not out for failing.",
            "avg (ponder_engine_up)",
            "percentunit",
            yellow=1,
            red=0.5,
        ),
    ]


def since() -> Panels:
    ended = f'sum ({REQUESTS}{{{BOTH},outcome=~"error|gone"}})'
    return [
        total("Requests in all", f"Requests that ended, {SINCE}", f"sum ({REQUESTS}{{{BOTH}}})"),
        total(
            "Completion tokens in all",
            f"Tokens sampled, judges' and discarded samples' included, {SINCE}",
            f"sum (ponder_tokens_total{{{BOTH}}})",
        ),
        total("Samples in all", f"Sequences that were started, {SINCE}", f"sum (ponder_samples_total{{{BOTH}}})"),
        total("Refusals in all", f"Requests sent away (401, 403, 429, 503), {SINCE}", "sum (ponder_refusals_total)"),
        total("Errors and hang-ups in all", f"Requests that failed or whose callers left, {SINCE}", ended),
        number(
            "Busiest loop",
            "The longest that an event loop was late in the last minute, of all processes.",
            "max (ponder_event_loop_lag_seconds)",
            "s",
            yellow=0.1,
            red=1,
        ),
    ]


def traffic() -> Panels:
    about = "cut: a budget ended the search, which still answered. gone: the caller left."
    return [
        lines("Requests by outcome", about, {"{{outcome}}": rate(REQUESTS, BOTH, "outcome")}, "reqps", stacked=True),
        lines(
            "Requests by strategy",
            "Which strategies are asked for.",
            {"{{strategy}}": rate(REQUESTS, BOTH, "strategy")},
            "reqps",
            stacked=True,
        ),
        lines(
            "Requests by model",
            "Which models are asked for.",
            {"{{model}}": rate(REQUESTS, BOTH, "model")},
            "reqps",
            stacked=True,
        ),
    ]


def latency() -> Panels:
    return [
        lines("Duration", "From the arrival of a request to its end.", quantiles(DURATION, BOTH), "s"),
        lines("Time to the first byte", "Of anything, reasoning included.", quantiles(FIRST_BYTE, BOTH), "s"),
        lines(
            "Time to the first token of the answer",
            "All the searching that came before lies in this.",
            quantiles(FIRST_TOKEN, BOTH),
            "s",
        ),
        heatmap_of("Durations", "How many requests took how long.", buckets(DURATION, BOTH), "s").span(12),
        lines(
            "Duration by strategy",
            "The 95th percentile.",
            {"{{strategy}}": quantile(0.95, DURATION, BOTH, "strategy")},
            "s",
        ).span(12),
    ]


def admission() -> Panels:
    reserved = {"tokens": "sum (ponder_reserved_tokens)"}
    return [
        lines(
            "Queue length", "Requests that wait to be let in.", {"waiting": "sum (ponder_queue_length)"}, "short"
        ).span(6),
        lines(
            "Wait in the queue",
            "Of requests that were let in, and how long the oldest one has been waiting.",
            {**quantiles(QUEUE), "oldest now": "max (ponder_queue_oldest_seconds)"},
            "s",
        ).span(6),
        lines(
            "Reserved tokens",
            "Tokens that the requests at work may yet take; held against admission.tokens.",
            reserved,
            "short",
        ).span(6),
        lines(
            "Reserved samples",
            "Sequences that the requests at work may have in flight; held against admission.samples.",
            {"samples": "sum (ponder_reserved_samples)"},
            "short",
        ).span(6),
    ]


def health() -> Panels:
    lag = {"{{instance}}": "max by (instance) (ponder_event_loop_lag_seconds)"}
    return [
        lines(
            "Refusals",
            "Requests sent away: no key (401), not allowed (403), over a quota (429), overload or no engine (503).",
            {"{{status}}": rate("ponder_refusals_total", by="status")},
            "reqps",
            stacked=True,
        ).span(6),
        lines(
            "Event loop lag",
            "The longest that a loop was late in the last minute: all its streams stood still for so long.",
            lag,
            "s",
        ).span(6),
        lines(
            "Dropped series",
            "How often a name was counted as other, for there were too many series.",
            {"dropped": "sum (ponder_dropped_series_total)"},
            "short",
        ).span(6),
        lines(
            "Versions",
            "Processes by version: two at a time during a roll-out.",
            {"{{version}}, Python {{python}}": "count by (version, python) (ponder_build_info)"},
            "short",
        ).span(6),
    ]
