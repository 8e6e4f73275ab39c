"""PromQL that the panels share. `$__rate_interval` is Grafana's: the shortest window that has four scrapes."""

from deploy.grafana.panels import QUANTILES, Queries

WINDOW = "[$__rate_interval]"
BOTH = 'strategy=~"$strategy",model=~"$model"'
"""The selector of metrics by strategy and model."""
STRATEGY, MODEL = 'strategy=~"$strategy"', 'model=~"$model"'


def increase(metric: str, selector: str = "", by: str = "") -> str:
    """How much of a counter came in the dashboard's time."""
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (increase({metric}{{{selector}}}[$__range]))"


def rate(metric: str, selector: str = "", by: str = "") -> str:
    """How much of a counter comes each second, summed."""
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (rate({metric}{{{selector}}}{WINDOW}))"


def ratio(part: str, whole: str) -> str:
    """One rate in another. Nothing where the whole is: 0 in 0 is no share."""
    return f"{part} / ({whole} > 0)"


def mean(histogram: str, selector: str = "", by: str = "") -> str:
    """The mean of what a histogram saw lately."""
    return ratio(rate(f"{histogram}_sum", selector, by), rate(f"{histogram}_count", selector, by))


def quantile(q: float, histogram: str, selector: str = "", by: str = "") -> str:
    """A quantile of what a histogram saw lately, as exact as its buckets."""
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', selector, f'le, {by}' if by else 'le')})"


def quantiles(histogram: str, selector: str = "") -> Queries:
    """The median, p95 and p99."""
    return {f"p{q * 100:g}": quantile(q, histogram, selector) for q in QUANTILES}


def buckets(histogram: str, selector: str = "") -> str:
    """What a heatmap is made of."""
    return rate(f"{histogram}_bucket", selector, "le")
