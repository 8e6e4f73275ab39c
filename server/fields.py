"""The fate of every field of a chat request, in one table: honoured, passed on, without effect, or refused by name.

`python -m server.fields` prints it as docs/api.md shows it.
"""

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["honoured", "passed on", "without effect", "refused"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a field; a refused one may still hold the values in `harmless`, which say what holds anyway."""

    kind: Kind
    note: str = ""
    harmless: tuple[Any, ...] = ()


def honoured(note: str = "") -> Fate:
    return Fate("honoured", note)


PASSED = Fate("passed on")
IDLE = Fate("without effect")

FIELDS: dict[str, Fate] = {
    "model": honoured("a model's id, or `MODEL:STRATEGY`"),
    "messages": honoured("all roles; text; images, audio and video as `data:` URLs, or of `limits.media_hosts`"),
    "stream": honoured(),
    "stream_options": honoured("`include_usage`"),
    "max_tokens": honoured("tokens of one path, all its steps and thinking together"),
    "max_completion_tokens": honoured("the newer name of `max_tokens`"),
    "temperature": honoured("0.8 takes the place of 0 where several samples are drawn"),
    "top_p": honoured(),
    "n": honoured("independent runs that share one budget"),
    "stop": honoured("up to four"),
    "seed": honoured("the same seed, the same samples"),
    "logprobs": honoured("of the answer's tokens"),
    "top_logprobs": honoured("0 to 20"),
    "tools": honoured("not with a step search; the most frequent call, or the one judged best"),
    "tool_choice": honoured(),
    "parallel_tool_calls": honoured("goes with `tools`"),
    "response_format": honoured("text, json_object, json_schema; JSON not with a step search"),
    "structured_outputs": honoured("vLLM's, with `json` or `choice` only"),
    "chat_template_kwargs": honoured("those that the settings allow"),
    "include_reasoning": honoured("false: `reasoning_format: none`"),
    "reasoning_strategy": honoured("a strategy's name, or an object of its `name` and settings"),
    "reasoning_budget": honoured("any of `tokens`, `seconds`, `samples`"),
    "reasoning_quorum": honoured("0 to 1: the share of the sequences that has to be left for an answer"),
    "reasoning_format": honoured("`think`, `fields` or `none`"),
    "reasoning_effort": honoured("`none` to `max`: a preset of strategy and budget"),
    "reasoning": honoured("OpenRouter's object"),
    "return_trace": honoured("`true` or `full`"),
    "presence_penalty": PASSED,
    "frequency_penalty": PASSED,
    "logit_bias": PASSED,
    "top_k": PASSED,
    "min_p": PASSED,
    "repetition_penalty": PASSED,
    "min_tokens": Fate("passed on", "of a path"),
    "ignore_eos": PASSED,
    "skip_special_tokens": PASSED,
    "stop_token_ids": PASSED,
    "bad_words": PASSED,
    "allowed_token_ids": PASSED,
    "user": IDLE,
    "metadata": IDLE,
    "service_tier": Fate("without effect", "`auto` and `default`; others are refused"),
    "store": Fate("without effect", "`false`; nothing is stored, so `true` is refused"),
    "prompt_cache_key": IDLE,
    "prompt_cache_options": IDLE,
    "prompt_cache_retention": IDLE,
    "safety_identifier": IDLE,
    "verbosity": IDLE,
    "audio": Fate("refused"),
    "function_call": Fate("refused", "use `tool_choice`", ("none",)),
    "functions": Fate("refused", "use `tools`", ([],)),
    "modalities": Fate("refused", 'but `["text"]`', (["text"],)),
    "moderation": Fate("refused"),
    "prediction": Fate("refused"),
    "web_search_options": Fate("refused"),
    "chat_template": Fate("refused", "a template runs in the engine"),
    "cache_salt": Fate("refused"),
    "priority": Fate("refused"),
    "add_generation_prompt": Fate("refused", harmless=(True,)),
    "continue_final_message": Fate("refused", harmless=(False,)),
    "mm_processor_kwargs": Fate("refused"),
    "kv_transfer_params": Fate("refused"),
    "vllm_xargs": Fate("refused"),
    "prompt_logprobs": Fate("refused"),
    "best_of": Fate("refused", "use the strategy `best_of_n`"),
    "use_beam_search": Fate("refused", "use the strategy `beam_search`", (False,)),
}

EFFECTIVE: dict[str, tuple[Any, ...]] = {"store": (False,), "service_tier": ("auto", "default")}
"""Fields without effect that mean something at other values than these."""


def of_kind(kind: Kind) -> tuple[str, ...]:
    """The fields of one fate, in order."""
    return tuple(name for name, fate in FIELDS.items() if fate.kind == kind)


def tolerated(name: str, value: Any) -> bool:
    """Whether a field that is no part of the request's model may hold this value."""
    if value is None:
        return name in FIELDS
    fate = FIELDS.get(name)
    if fate is None:
        return False
    if fate.kind == "without effect":
        return value in EFFECTIVE.get(name, (value,))
    return value in fate.harmless


def markdown() -> str:
    """The table as the documentation shows it."""
    rows = ["| field | fate | |", "|---|---|---|"]
    rows += [f"| `{name}` | {fate.kind} | {fate.note} |" for name, fate in FIELDS.items()]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
