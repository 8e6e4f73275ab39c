"""`ponder ask`: one question to a running server, its thinking shown live: samples, votes, spent budget."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table

SHOWN = 12
"""Samples that are shown at once: the ones that changed last."""
MARKS = {"stop": "[green]✓[/]", "step": "[cyan]·[/]", "length": "[yellow]…[/]", "cut": "[dim]x[/]", "lost": "[red]![/]"}


@dataclass(frozen=True)
class Question:
    """What to ask, and what to spend on it."""

    text: str
    strategy: str
    model: str | None = None
    budget: dict[str, float] = field(default_factory=dict)
    max_tokens: int | None = None

    def body(self, model: str) -> dict[str, Any]:
        """The request."""
        strategy = json.loads(self.strategy) if self.strategy.startswith("{") else self.strategy
        body = {
            "model": self.model or model,
            "messages": [{"role": "user", "content": self.text}],
            "reasoning_strategy": strategy,
            "reasoning_budget": self.budget or None,
            "reasoning_format": "none",
            "max_tokens": self.max_tokens,
            "return_trace": True,
            "stream": True,
        }
        return {name: value for name, value in body.items() if value is not None}


@dataclass
class Sample:
    """One sequence as it is shown."""

    text: str = ""
    finish: str | None = None
    answer: str | None = None
    score: float | None = None


class View:
    """What is known so far, from a stream's chunks, and how it looks."""

    def __init__(self, budget: dict[str, float]) -> None:
        self.budget = budget
        self.samples: dict[str, Sample] = {}
        self.notes: list[str] = []
        self.tokens = 0
        self.started = anyio.current_time()
        self.content = ""
        self.trace: dict[str, Any] | None = None

    def add(self, chunk: dict[str, Any]) -> None:
        """Take in one chunk of the stream."""
        for choice in chunk["choices"]:
            self.content += choice["delta"].get("content") or ""
        ponder = chunk.get("ponder") or {}
        if "event" in ponder:
            self.happened(ponder)
        elif ponder:
            self.trace = ponder

    def happened(self, event: dict[str, Any]) -> None:
        """Take in one event."""
        sample = self.samples.get(event["id"], Sample())
        match event["event"]:
            case "opened":
                self.samples[event["id"]] = sample
            case "token":
                sample.text += event["text"]
                self.tokens += event["tokens"]
                self.samples[event["id"]] = self.samples.pop(event["id"], sample)
            case "closed":
                sample.finish, sample.answer = event["finish"], event.get("answer")
            case "scored":
                sample.score = event.get("score")
            case "lost":
                sample.finish, sample.text = "lost", event["error"]
            case "note" | "pruned":
                self.notes.append(event["text"])
            case "answered":
                self.tokens = event["tokens"]

    def __rich__(self) -> RenderableType:
        return Group(
            self._lanes(), self._votes(), *(f"[dim]{escape(note)}[/]" for note in self.notes[-3:]), self._spent()
        )

    def _lanes(self) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        for id, sample in list(self.samples.items())[-SHOWN:]:
            mark = MARKS.get(sample.finish or "", "[blue]~[/]")
            result = "" if sample.answer is None else f"[bold]{escape(sample.answer)}[/]"
            result += "" if sample.score is None else f" {sample.score:.2f}"
            table.add_row(mark, f"[dim]{id}[/]", escape(" ".join(sample.text.split())[-70:]), result)
        return table

    def _votes(self) -> Table:
        votes = Counter(sample.answer for sample in self.samples.values() if sample.answer is not None)
        table = Table.grid(padding=(0, 1))
        for answer, count in votes.most_common(5):
            table.add_row(f"[bold]{escape(answer)}[/]", ProgressBar(votes.total(), count, width=30), str(count))
        return table

    def _spent(self) -> str:
        seconds = anyio.current_time() - self.started
        spent = {"tokens": self.tokens, "samples": len(self.samples), "seconds": round(seconds, 1)}
        limits = {name: f" of {limit:g}" for name, limit in self.budget.items()}
        return "[dim]" + ", ".join(f"{value}{limits.get(name, '')} {name}" for name, value in spent.items()) + "[/]"


async def ask(question: Question, url: str, api_key: str | None) -> int:
    """Ask, show, and print the answer; the exit status."""
    console = Console()
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        timeout = httpx.Timeout(30, read=None)
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout) as client:
            models = (await client.get("/v1/models")).raise_for_status().json()["data"]
            if not models:
                raise Refused("the server has no model")
            view = View(question.budget)
            with Live(view, console=console, refresh_per_second=12, transient=False):
                async for chunk in chunks(client, question.body(models[0]["id"])):
                    view.add(chunk)
    except (httpx.HTTPError, json.JSONDecodeError, Refused) as error:
        console.print(f"[red]{escape(str(error) or type(error).__name__)}[/]")
        return 1
    console.print(Panel(escape(view.content), title="answer"))
    return 0


class Refused(Exception):
    """The server said no."""


async def chunks(client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """The chunks of a streamed reply. Raises Refused with the server's words."""
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.is_error:
            raise Refused(json.loads(await response.aread())["error"]["message"])
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                chunk = json.loads(line[6:])
                if "error" in chunk:
                    raise Refused(chunk["error"]["message"])
                yield chunk
