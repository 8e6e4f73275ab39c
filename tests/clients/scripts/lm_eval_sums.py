"""lm-eval's local-chat-completions, on a task of three sums. It has no stream."""

import logging
import os
from io import StringIO
from pathlib import Path

import lm_eval
from aspects import MODEL, UNKNOWN, URL, VOTE, tell
from lm_eval.tasks import TaskManager
from requests import HTTPError

task = Path(__file__).parent / "lm_eval_task"
os.chdir(task)  # the task's path of its data counts from here
tasks = TaskManager(include_path=str(task), include_defaults=False)


def score(settings=None, **fields):
    results = lm_eval.simple_evaluate(
        model="local-chat-completions",
        model_args={"model": MODEL, "base_url": f"{URL}/chat/completions", "max_retries": 1, **(settings or {})},
        tasks=["sums"],
        task_manager=tasks,
        apply_chat_template=True,
        gen_kwargs=fields or None,
        bootstrap_iters=0,
    )
    return {
        "exact_match": results["results"]["sums"]["exact_match,tagged"],
        "replies": [sample["resps"][0][0] for sample in results["samples"]["sums"]],
    }


def refused():
    log = StringIO()
    logging.getLogger("lm_eval").addHandler(logging.StreamHandler(log))
    try:
        return score(**UNKNOWN)
    except HTTPError as error:
        return {"raised": str(error), "log": log.getvalue()}


tell(
    answer=score,
    strategy=lambda: score(**VOTE),
    strategy_without_thinking=lambda: score({"think_end_token": "</think>"}, **VOTE),
    error=refused,
)
