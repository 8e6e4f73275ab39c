"""Every limit of the settings, in one table: its name, its default, what it bounds.

`python -m server.bounds` prints it as SECURITY.md shows it.
"""

from collections.abc import Iterator

from server.settings import Part, Settings

NO_LIMITS = frozenset(
    {
        "server.port",
        "server.workers",
        "server.keep_alive",
        "workers.processes",
        "tracing.share",
        "tracing.batch",
        "pool",
    }
)
"""Numbers, and whole tables, that bound nothing that a client could take."""


def bounds() -> Iterator[tuple[str, float, str]]:
    """The settings that are numbers: name, default, meaning."""
    settings = Settings.model_construct()
    for table in Settings.model_fields:
        part = getattr(settings, table)
        if not isinstance(part, Part):
            continue
        for field, info in type(part).model_fields.items():
            name, value = f"{table}.{field}", getattr(part, field)
            if isinstance(value, int | float) and not isinstance(value, bool) and NO_LIMITS.isdisjoint((table, name)):
                yield name, value, info.description or ""


def markdown() -> str:
    """The table."""
    rows = [f"| `{name}` | {value:,} | {meaning} |" for name, value, meaning in bounds()]
    return "\n".join(["| setting | default | |", "|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
