"""The command `llm`, with models from extra-openai-models.yaml."""

import json
import os
import subprocess
import sys
from pathlib import Path

from aspects import MODEL, QUESTION, URL, tell

names = [MODEL, f"{MODEL}:self_consistency", f"{MODEL}:no_such_strategy"]
models = [{"model_id": name, "model_name": name, "api_base": URL} for name in names]
Path("extra-openai-models.yaml").write_text(json.dumps(models))  # JSON is YAML
command = [Path(sys.executable).with_name("llm"), "prompt", QUESTION, "--model"]
environment = {**os.environ, "LLM_USER_PATH": str(Path.cwd())}


def prompt(model, *flags):
    ended = subprocess.run([*command, model, *flags], env=environment, capture_output=True, text=True, check=False)
    return {"status": ended.returncode, "output": ended.stdout, "errors": ended.stderr}


# It streams unless it is told not to.
answered, voted, unknown = names
tell(
    answer=lambda: prompt(answered, "--no-stream"),
    stream=lambda: prompt(answered, "--usage"),
    strategy=lambda: prompt(voted, "--no-stream"),
    strategy_stream=lambda: prompt(voted),
    error=lambda: prompt(unknown),
)
