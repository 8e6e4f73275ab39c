"""Pages of metrics, read as Prometheus reads them."""

from prometheus_client.parser import text_string_to_metric_families


def series(text):
    """Every series of a page, as its name and labels, and its value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(text, name, **labels):
    """The sum of a metric over the labels that are not named."""
    return sum(value for (named, has), value in series(text).items() if named == name and labels.items() <= set(has))


async def page(served):
    """What `/metrics` of a server says now."""
    return (await served.client.get("/metrics")).text
