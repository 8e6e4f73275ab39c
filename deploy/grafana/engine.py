"""The engines: what vLLM tells of itself, and what Ponder sees of it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana import frame
from deploy.grafana.panels import Panels, lines, number
from deploy.grafana.promql import quantile, quantiles, rate, ratio

ENGINE = 'model_name=~"$model_name",instance=~"$instance"'
GENERATED, READ = "vllm:generation_tokens_total", "vllm:prompt_tokens_total"
HITS, QUERIES = "vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"
FIRST, BETWEEN = "vllm:time_to_first_token_seconds", "vllm:inter_token_latency_seconds"
WHOLE, QUEUED = "vllm:e2e_request_latency_seconds", "vllm:request_queue_time_seconds"
RUNNING, WAITING, USAGE = "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"


def engine() -> Dashboard:
    variables = [
        frame.choice("model_name", "Model", RUNNING, "model_name"),
        frame.choice("instance", "Engine", RUNNING, "instance"),
    ]
    rows = {"Now": now(), "Work": work(), "Latency": latency(), "Cache": cache(), "As Ponder sees them": seen()}
    about = "vLLM's own metrics, where each sample is a request; below, what Ponder sees of its engines."
    return frame.dashboard("engine", "Engine", about, [*variables], rows)


def now() -> Panels:
    return [
        number(
            "Engines up",
            "Engines that Prometheus could scrape, of all it knows.",
            'avg (up{job="vllm"})',
            "percentunit",
            yellow=1,
            red=0.5,
        ),
        number("Running", "Sequences in the engines' batches.", f"sum ({RUNNING}{{{ENGINE}}})", "short"),
        number(
            "Waiting",
            "Sequences in the engines' own queues. Ponder should let in less than makes these long.",
            f"sum ({WAITING}{{{ENGINE}}})",
            "short",
            yellow=16,
            red=128,
        ),
        number("Generated", "Tokens, each second.", rate(GENERATED, ENGINE), "short"),
        number(
            "KV cache",
            "How full the fullest engine's cache is. Full ones preempt.",
            f"max ({USAGE}{{{ENGINE}}})",
            "percentunit",
            yellow=0.8,
            red=0.95,
        ),
        number(
            "Prefix cache hits",
            "The share of prompt tokens that were found in the cache.",
            ratio(rate(HITS, ENGINE), rate(QUERIES, ENGINE)),
            "percentunit",
        ),
    ]


def work() -> Panels:
    states = {
        "running {{instance}}": f"sum by (instance) ({RUNNING}{{{ENGINE}}})",
        "waiting {{instance}}": f"sum by (instance) ({WAITING}{{{ENGINE}}})",
    }
    ended = rate("vllm:request_success_total", ENGINE, "finished_reason")
    return [
        lines(
            "Tokens",
            "Read and generated, each second.",
            {"generated": rate(GENERATED, ENGINE), "prompt": rate(READ, ENGINE)},
            "short",
        ),
        lines("Sequences", "In the batch, and in the engine's own queue.", states, "short", stacked=True),
        lines(
            "Sequences by how they ended",
            "abort: Ponder wanted no more of them. length: max_tokens.",
            {"{{finished_reason}}": ended},
            "ops",
            stacked=True,
        ),
    ]


def latency() -> Panels:
    return [
        lines("Time to the first token", "Queueing and reading the prompt.", quantiles(FIRST, ENGINE), "s").span(6),
        lines("Between tokens", "What a caller of a stream feels.", quantiles(BETWEEN, ENGINE), "s").span(6),
        lines("Whole sequences", "From their arrival to their last token.", quantiles(WHOLE, ENGINE), "s").span(6),
        lines(
            "In the engine's queue",
            "The 95th percentile, by engine.",
            {"{{instance}}": quantile(0.95, QUEUED, ENGINE, "instance")},
            "s",
        ).span(6),
    ]


def cache() -> Panels:
    hits = ratio(rate(HITS, ENGINE, "instance"), rate(QUERIES, ENGINE, "instance"))
    return [
        lines(
            "KV cache usage",
            "How full each engine's cache is.",
            {"{{instance}}": f"max by (instance) ({USAGE}{{{ENGINE}}})"},
            "percentunit",
        ),
        lines(
            "Prefix cache hits",
            "The share of prompt tokens found in each engine's cache.",
            {"{{instance}}": hits},
            "percentunit",
        ),
        lines(
            "Preemptions",
            "Sequences thrown out of a full cache, to be computed again, each second.",
            {"{{instance}}": rate("vllm:num_preemptions_total", ENGINE, "instance")},
            "ops",
        ),
    ]


def seen() -> Panels:
    retries = {"retries": rate("ponder_upstream_retries_total")}
    return [
        lines(
            "In service",
            "0 while an engine is out for failing.",
            {"{{engine}}": "min by (engine) (ponder_engine_up)"},
            "bool_on_off",
        )
        .span(6)
        .max(1),
        lines(
            "Calls under way",
            "Ponder's requests to each engine; one may carry several samples.",
            {"{{engine}}": "sum by (engine) (ponder_upstream_requests_running)"},
            "short",
        ).span(6),
        lines(
            "Calls by outcome",
            "aborted: no longer needed.",
            {"{{engine}} {{outcome}}": rate("ponder_upstream_requests_total", by="engine, outcome")},
            "reqps",
            stacked=True,
        ).span(6),
        lines(
            "Errors and retries",
            "Calls that failed, by cause, and calls made again for it.",
            {"{{engine}} {{cause}}": rate("ponder_upstream_errors_total", by="engine, cause"), **retries},
            "reqps",
        ).span(6),
    ]
