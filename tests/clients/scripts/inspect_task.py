"""inspect-ai, on a task of two questions, by its provider for any OpenAI-compatible server."""

import os

from aspects import AGAIN, FIELDS, KEY, MODEL, QUESTION, UNKNOWN, URL, VOTE, tell
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, user_message

os.environ |= {"SUMS_BASE_URL": URL, "SUMS_API_KEY": KEY}


def run(stream=False, turns=1, **fields):
    samples = [Sample(QUESTION, target="42"), Sample("What is 1 + 2?", target="three")]
    config = GenerateConfig(extra_body=fields or None, max_retries=0)
    solver = [generate(), *[step for _ in range(1, turns) for step in (user_message(AGAIN["content"]), generate())]]
    task = Task(dataset=samples, solver=solver, scorer=includes(), config=config)
    model_args = {"stream": True} if stream else {}
    [log] = eval(task, model=f"openai-api/sums/{MODEL}", model_args=model_args, display="none", log_dir="logs")
    if log.error:
        return {"status": log.status, "error": log.error.message}
    message = log.samples[0].output.message
    parts = [] if isinstance(message.content, str) else message.content
    return {
        "status": log.status,
        "accuracy": log.results.scores[0].metrics["accuracy"].value,
        "content": message.text,
        "reasoning": "".join(part.reasoning for part in parts if part.type == "reasoning"),
    }


tell(
    answer=run,
    stream=lambda: run(stream=True),
    strategy=lambda: run(**VOTE),
    strategy_stream=lambda: run(stream=True, **VOTE),
    fields=lambda: run(**FIELDS),
    second_turn=lambda: run(turns=2, **VOTE),
    second_turn_with_fields=lambda: run(turns=2, **FIELDS),
    error=lambda: run(**UNKNOWN),
)
