"""The engine that all gateways are measured over: a simulated vLLM whose replies are as long as the prompt asks for.

The prompt says the length, because not every gateway passes `max_tokens` on.
"""

import argparse
import asyncio
import re

import uvloop

from benchmarks.engine import Engine, Options
from benchmarks.engine_replies import Ask
from benchmarks.engine_text import encode

MODEL = "simulated"
DELAY = 0.004
"""Seconds a token, of all sequences at once."""
LENGTH = re.compile(r"Say (\d+) tokens")
FILLER = " the"
ANSWER = " The answer is \\boxed{42}"
"""The end of a long reply, which every vote can read."""


def prompt(tokens: int) -> str:
    """What to ask for a reply of so many tokens, its end included."""
    return f"Say {tokens} tokens."


def counted(ask: Ask) -> str:
    """As many tokens as the prompt's last wish says, the answer at their end where they have room for it."""
    room = int(LENGTH.findall(ask.text)[-1]) - 1 - len(encode(ANSWER))
    return FILLER * room + ANSWER if room >= 0 else FILLER * (room + len(encode(ANSWER)))


async def _serve(port: int, delay: float) -> None:
    engine = Engine(counted, Options(model=MODEL, delay=delay, max_model_len=65536), record=False)
    await engine.listen(port=port)
    print(engine.url, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=DELAY)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options.port, options.delay))


if __name__ == "__main__":
    main()
