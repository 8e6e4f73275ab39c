"""What test-time compute buys: samples, tokens, votes, verifiers."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana import frame
from deploy.grafana.panels import Panels, bars, heatmap_of, lines, number
from deploy.grafana.promql import BOTH, buckets, increase, mean, quantile, rate, ratio

REQUESTS, SAMPLES, TOKENS = "ponder_requests_total", "ponder_samples_total", "ponder_tokens_total"
SAVED, AGREEMENT = "ponder_tokens_saved_total", "ponder_vote_agreement_ratio"
SCORE, JUDGING = "ponder_verifier_score", "ponder_verifier_duration_seconds"


def strategies() -> Dashboard:
    rows = {"Now": now(), "Samples": samples(), "Tokens": tokens(), "Votes": votes(), "Verifiers": verifiers()}
    about = "How Ponder's strategies spend their samples and tokens, how far their votes agree, and what verifiers say."
    return frame.dashboard(
        "strategies", "Strategies and test-time compute", about, [frame.strategy(), frame.model()], rows
    )


def now() -> Panels:
    answers = ratio(rate(TOKENS, f'{BOTH},purpose="answer"'), rate(TOKENS, BOTH))
    saved = ratio(rate(SAVED, BOTH), f"({rate(SAVED, BOTH)} + {rate(TOKENS, BOTH)})")
    return [
        number("Samples", "Sequences that ended, each second.", rate(SAMPLES, BOTH), "ops"),
        number(
            "Samples a request",
            "Sequences that a request takes, on average.",
            ratio(rate(SAMPLES, BOTH), rate(REQUESTS, BOTH)),
            "short",
        ),
        number("Tokens", "Tokens sampled each second, for whatever purpose.", rate(TOKENS, BOTH), "short"),
        number(
            "In the answer",
            "The share of all tokens that callers see as the answer. The rest is what the search costs.",
            answers,
            "percentunit",
        ),
        number(
            "Agreement",
            "The share of the votes that the answer got. Low: the questions are hard, or the model is broken.",
            mean(AGREEMENT, BOTH),
            "percentunit",
            yellow=0.5,
            red=0.3,
        ),
        number(
            "Saved",
            "Tokens that stopping early has saved (an estimate), in all that would have been sampled.",
            saved,
            "percentunit",
        ),
    ]


def samples() -> Panels:
    kept = ratio(rate(SAMPLES, f'{BOTH},outcome="used"', "strategy"), rate(SAMPLES, BOTH, "strategy"))
    outcomes = (
        "used: a candidate for the answer. pruned: dropped by the search. early stopped: no longer needed. "
        "aborted: cut by a budget or left by the caller. lost: failed at an engine."
    )
    return [
        lines("Samples by outcome", outcomes, {"{{outcome}}": rate(SAMPLES, BOTH, "outcome")}, "ops", stacked=True),
        lines(
            "Samples a request",
            "By strategy, on average.",
            {"{{strategy}}": ratio(rate(SAMPLES, BOTH, "strategy"), rate(REQUESTS, BOTH, "strategy"))},
            "short",
        ),
        lines(
            "Used samples",
            "The share of samples that were candidates for the answer, to the end.",
            {"{{strategy}}": kept},
            "percentunit",
        ),
    ]


def tokens() -> Panels:
    purposes = (
        "answer: what callers see as the answer. thinking: the chosen path's reasoning. "
        "discarded: samples that were not chosen. verifier: judges'."
    )
    return [
        lines(
            "Tokens by purpose", purposes, {"{{purpose}}": rate(TOKENS, BOTH, "purpose")}, "short", stacked=True
        ).span(6),
        lines(
            "Tokens by strategy",
            "Sampled each second, for whatever purpose.",
            {"{{strategy}}": rate(TOKENS, BOTH, "strategy")},
            "short",
            stacked=True,
        ).span(6),
        bars(
            "Tokens a request",
            "By strategy, on average over the dashboard's time.",
            {"{{strategy}}": ratio(increase(TOKENS, BOTH, "strategy"), increase(REQUESTS, BOTH, "strategy"))},
            "short",
        ).span(6),
        lines(
            "Saved by early stop",
            "Tokens a second that stopping early has saved: an estimate.",
            {"{{strategy}}": rate(SAVED, BOTH, "strategy")},
            "short",
        ).span(6),
    ]


def votes() -> Panels:
    return [
        heatmap_of(
            "Agreement", "The share of the votes that answers got.", buckets(AGREEMENT, BOTH), "percentunit"
        ).span(12),
        lines(
            "Agreement by strategy",
            "On average. A sudden fall is a model, a prompt or an engine that has changed.",
            {"{{strategy}}": mean(AGREEMENT, BOTH, "strategy")},
            "percentunit",
        ).span(12),
    ]


def verifiers() -> Panels:
    return [
        heatmap_of("Scores", "What verifiers said of candidates, from 0 to 1.", buckets(SCORE), "percentunit").span(6),
        lines(
            "Score by verifier",
            "On average. One that always says the same is no help.",
            {"{{verifier}}": mean(SCORE, by="verifier")},
            "percentunit",
        ).span(6),
        lines(
            "Time to judge",
            "The 95th percentile of one call to a verifier.",
            {"{{verifier}}": quantile(0.95, JUDGING, by="verifier")},
            "s",
        ).span(6),
        lines(
            "Judgements",
            "Calls to verifiers, each second.",
            {"{{verifier}}": rate(f"{JUDGING}_count", by="verifier")},
            "ops",
            stacked=True,
        ).span(6),
    ]
