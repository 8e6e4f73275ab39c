"""What a request to the simulated engine asks for: the bodies of vLLM 0.32, checked and refused as vLLM does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec

from benchmarks.engine_replies import Limits
from benchmarks.engine_text import VOCABULARY, encode, render

MAX_N, MAX_LOGPROBS = 16384, 20
Count = Annotated[int, msgspec.Meta(ge=1)]
Ids = tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
Body = TypeVar("Body", bound=msgspec.Struct)


class Refused(Exception):
    """A request that gets an error: HTTP status, message, vLLM's type of error, and the parameter it is about."""

    def __init__(self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.param = status, kind, param


class StreamOptions(msgspec.Struct):
    """Whether a stream ends with a chunk that counts its tokens."""

    include_usage: bool | None = False


class Sampling(msgspec.Struct):
    """What both generating endpoints take; other fields are ignored, as in vLLM."""

    model: str | None = None
    n: int | None = 1
    max_tokens: int | None = None
    min_tokens: int | None = 0
    seed: int | None = None
    temperature: float | None = 1.0
    stop: str | Annotated[list[str], msgspec.Meta(max_length=4)] | None = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool | None = False
    ignore_eos: bool | None = False
    return_token_ids: bool | None = False
    logprob_token_ids: list[int] | None = None
    structured_outputs: dict[str, Any] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    stream_interval: Count | None = 1
    cache_salt: str | None = None


class Completion(Sampling):
    """The body of POST /v1/completions; `prompt` is text, token ids, or a list of either."""

    prompt: Any = None
    max_tokens: int | None = 16
    logprobs: int | None = None


class Chat(Sampling, kw_only=True):
    """The body of POST /v1/chat/completions."""

    messages: list[dict[str, Any]]
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    chat_template_kwargs: dict[str, Any] | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = None


class Tokenize(msgspec.Struct):
    """The body of POST /tokenize: a prompt, or messages to render."""

    model: str | None = None
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    chat_template_kwargs: dict[str, Any] | None = None


class Detokenize(msgspec.Struct):
    """The body of POST /detokenize."""

    tokens: list[int]
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request understood: token ids of each prompt, the limits of its samples, what may be said, what to report."""

    chat: bool
    n: int
    seed: int | None
    greedy: bool
    prompts: Sequence[tuple[int, ...]]
    limits: Sequence[Limits]
    choices: tuple[str, ...]
    logprobs: int | None
    logprob_ids: tuple[int, ...]
    token_ids: bool
    stream: bool
    usage: bool
    interval: int
    salt: str | None


def read(body: Mapping[str, Any], *, chat: bool, model: str, max_model_len: int) -> Wanted:
    """Understand a request for samples, or raise Refused as vLLM would refuse it."""
    asked: Chat | Completion = convert(body, Chat) if chat else convert(body, Completion)
    served(asked.model, model)
    _check(asked)
    prompts = [conversation(asked)] if isinstance(asked, Chat) else list(_prompts(asked.prompt))
    return Wanted(
        chat=chat,
        n=asked.n or 1,
        seed=None if asked.seed == -1 else asked.seed,
        greedy=asked.temperature is not None and asked.temperature < 1e-5,
        prompts=prompts,
        limits=[_limits(asked, len(prompt), max_model_len) for prompt in prompts],
        choices=_choices(asked.structured_outputs),
        logprobs=_logprobs(asked),
        logprob_ids=tuple(asked.logprob_token_ids or ()),
        token_ids=bool(asked.return_token_ids),
        stream=bool(asked.stream),
        usage=bool(asked.stream_options and asked.stream_options.include_usage),
        interval=asked.stream_interval or 1,
        salt=asked.cache_salt,
    )


def convert(body: Any, kind: type[Body]) -> Body:
    """Check a body against its declaration; vLLM's schema errors are of the type `Bad Request`."""
    try:
        return msgspec.convert(body, kind, strict=False)
    except msgspec.ValidationError as wrong:
        field = str(wrong).partition("`$.")[2].partition("`")[0].partition("[")[0]
        said = f"1 validation error:\n  {wrong}"
        raise Refused(400, said, "Bad Request", f"body.{field}" if field else "body") from None


def served(asked: str | None, model: str) -> None:
    """Refuse a model this engine does not serve; none named means the one there is."""
    if asked not in (None, model):
        said = f"The model `{asked}` does not exist. Valid aliases: {model}."
        raise Refused(404, said, "NotFoundError", "model")


def conversation(asked: Chat | Tokenize) -> tuple[int, ...]:
    """The token ids of a conversation under the chat template."""
    if not asked.messages:
        raise Refused(400, "Cannot apply chat template to an empty conversation. Provide at least one message.")
    if asked.add_generation_prompt and asked.continue_final_message:
        raise Refused(400, "Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
    opened, continued = asked.add_generation_prompt, asked.continue_final_message
    ids = encode(render(asked.messages, open_reply=opened, continue_last=continued))
    return ids + encode("<think>\n") if opened and (asked.chat_template_kwargs or {}).get("enable_thinking") else ids


def _prompts(prompt: Any) -> Iterator[tuple[int, ...]]:
    match prompt:
        case None | "":
            raise _about("prompt", "Either prompt or prompt_embeds must be provided and non-empty.")
        case []:
            raise Refused(400, "You must pass at least one prompt")
        case str() | [int(), *_]:
            prompt = [prompt]
    try:
        many = msgspec.convert(prompt, list[str | Ids])
    except msgspec.ValidationError as wrong:
        raise Refused(400, f"1 validation error:\n  {wrong}", "Bad Request", "body.prompt") from None
    for one in many:
        ids = encode(one) if isinstance(one, str) else one
        if strange := next((token for token in ids if token >= VOCABULARY), None):
            raise Refused(400, f"Token id {strange} is out of vocabulary")
        yield ids


def _check(asked: Chat | Completion) -> None:
    """Refuse what vLLM's own parameter checks refuse."""
    n = 1 if asked.n is None else asked.n
    if n < 1:
        raise Refused(400, f"n must be at least 1, got {n}.")
    if n > MAX_N:
        raise Refused(400, f"n must be at most {MAX_N}, got {n}.")
    temperature = 1.0 if asked.temperature is None else asked.temperature
    if temperature < 0:
        raise _about("temperature", f"temperature must be non-negative, got {temperature}.", temperature)
    if temperature == 0 and n > 1:
        raise Refused(400, f"n must be 1 when using greedy sampling, got {n}.")
    if "" in _strings(asked.stop):
        raise Refused(400, "stop cannot contain an empty string.")
    if asked.stream_options and not asked.stream:
        raise _about("stream_options", "Stream options can only be defined when `stream=True`.")


def _limits(asked: Chat | Completion, used: int, max_model_len: int) -> Limits:
    """Where samples after a prompt of `used` tokens end; more than is left is clamped, more than all refused."""
    if used > max_model_len:
        said = f"This model's maximum context length is {max_model_len} tokens. However, your prompt has {used}."
        raise _about("input_tokens", said, used)
    most = (asked.max_completion_tokens if isinstance(asked, Chat) else None) or asked.max_tokens
    if most is not None and most > max_model_len:
        raise _about("max_tokens", f"max_tokens={most} cannot be greater than max_model_len={max_model_len}.", most)
    room = max_model_len - used
    tokens = room if most is None else min(most, room)
    if tokens < 1:
        raise _about("max_tokens", f"max_tokens must be at least 1, got {tokens}.", tokens)
    if (asked.min_tokens or 0) > tokens:
        raise Refused(400, f"min_tokens must be less than or equal to max_tokens={tokens}, got {asked.min_tokens}.")
    return Limits(
        max_tokens=tokens,
        min_tokens=asked.min_tokens or 0,
        ignore_eos=bool(asked.ignore_eos),
        stop=_strings(asked.stop),
        stop_ids=frozenset(asked.stop_token_ids or ()),
        include_stop=bool(asked.include_stop_str_in_output),
    )


def _logprobs(asked: Chat | Completion) -> int | None:
    """How many alternatives to report for each token; None reports nothing."""
    if isinstance(asked, Chat):
        if asked.top_logprobs is not None and not asked.logprobs:
            raise _about("top_logprobs", "when using `top_logprobs`, `logprobs` must be set to true.")
        wanted = (asked.top_logprobs or 0) if asked.logprobs else None
    else:
        wanted = asked.logprobs
    if wanted is not None and wanted > MAX_LOGPROBS:
        said = f"Requested sample logprobs of {wanted}, which is greater than max allowed: {MAX_LOGPROBS}"
        raise _about("logprobs", said, wanted)
    if wanted is None and asked.logprob_token_ids:
        raise _about("logprob_token_ids", "when using `logprob_token_ids`, `logprobs` must be set.")
    return wanted


def _choices(structured: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The choices a reply is limited to; the only grammar this engine enforces."""
    if not structured or set(structured) <= {"json", "json_object"}:  # the replier is trusted to write JSON
        return ()
    if set(structured) != {"choice"}:
        raise Refused(400, f"the simulated engine knows no structured_outputs {sorted(structured)}")
    if not structured["choice"]:
        raise Refused(400, "Choice '[]' cannot be an empty list")
    return tuple(structured["choice"])


def _strings(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _about(param: str, said: str, value: Any = None) -> Refused:
    """An error about one parameter, which vLLM names in the message too."""
    told = f"parameter={param}" if value is None else f"parameter={param}, value={value}"
    return Refused(400, f"{said} ({told})", param=param)
