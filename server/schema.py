"""The chat request and reply as they stand on the wire, and the fate of every field of a request."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from server.settings import BudgetSpec, EffortName, Format
from server.trace import Trace

Role = Literal["developer", "system", "user", "assistant", "tool"]

PASSED_ON = (
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "top_k",
    "min_p",
    "repetition_penalty",
    "min_tokens",
    "ignore_eos",
    "skip_special_tokens",
)
"""Fields that the engine gets as they are."""
WITHOUT_EFFECT = (
    "user",
    "metadata",
    "service_tier",
    "store",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "parallel_tool_calls",
    "verbosity",
)
"""Fields that are taken and change nothing; `store: true` is refused, for nothing is stored."""
REFUSED = (
    "audio",
    "function_call",
    "functions",
    "logprobs",
    "modalities",
    "moderation",
    "prediction",
    "prompt_cache_options",
    "response_format",
    "tool_choice",
    "tools",
    "top_logprobs",
    "web_search_options",
)
"""Fields of OpenAI's that are refused by name, unless they say what holds anyway (`HARMLESS`)."""
HARMLESS: dict[str, tuple[Any, ...]] = {
    "logprobs": (False,),
    "modalities": (["text"],),
    "response_format": ({"type": "text"},),
    "tool_choice": ("none",),
    "tools": ([],),
    "top_logprobs": (0,),
}


class Strict(BaseModel):
    """A part of a request: no `"64"` or `true` for a number, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TextPart(Strict):
    type: Literal["text"]
    text: str


class ChatMessage(Strict):
    """One message; what else it carries goes to the model's chat template."""

    model_config = ConfigDict(extra="allow")
    role: Role
    content: str | list[TextPart] | None = None


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = False


class Reasoning(Strict):
    """OpenRouter's way to ask for reasoning."""

    effort: EffortName | None = None
    max_tokens: int | None = Field(None, ge=1, description="the budget's tokens")
    exclude: bool = Field(False, description="leave the reasoning out of the reply")
    enabled: bool | None = Field(None, description="false: no reasoning")


class ChatRequest(Strict):
    """A chat completion request: OpenAI's, and how to spend test-time compute on it."""

    model_config = ConfigDict(extra="allow")
    model: str = Field(min_length=1, description="a model's id, or MODEL:STRATEGY")
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, description="tokens of one path, all its steps and thinking together")
    max_completion_tokens: int | None = Field(None, ge=1, description="the newer name of max_tokens")
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    n: int | None = Field(None, ge=1, le=128, description="independent runs that share one budget")
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: int | None = Field(None, ge=-(2**62), lt=2**62)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, float] | None = None
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0)
    min_tokens: int | None = Field(None, ge=0)
    ignore_eos: bool | None = None
    skip_special_tokens: bool | None = None
    reasoning_strategy: str | dict[str, Any] | None = Field(
        None, description="a strategy's name, or an object of its name and settings (see /v1/strategies)"
    )
    reasoning_budget: BudgetSpec | None = None
    reasoning_format: Format | None = Field(None, description="where the reasoning goes; none: nowhere")
    reasoning_effort: EffortName | None = None
    reasoning: Reasoning | None = None
    return_trace: Literal["full"] | bool | None = Field(
        False, description="tell what happened, as it happens and in the end"
    )


class Wire(BaseModel):
    """A part of a reply."""

    model_config = ConfigDict(extra="allow")


class TokensDetails(Wire):
    reasoning_tokens: int = Field(description="all that was sampled but the answer")


class CompletionUsage(Wire):
    """`completion_tokens` counts every token received for the request: samples that lost, judges, revisions."""

    prompt_tokens: int = Field(description="the rendered prompt, once")
    completion_tokens: int
    total_tokens: int
    completion_tokens_details: TokensDetails


class ReplyMessage(Wire):
    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    reasoning: str | None = Field(None, description="with reasoning_format: fields; equal to reasoning_content")
    reasoning_content: str | None = None


class ReplyChoice(Wire):
    index: int
    message: ReplyMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class ChatCompletion(Wire):
    """The reply to a request that does not stream."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ReplyChoice]
    usage: CompletionUsage
    ponder: Trace | None = Field(None, description="with return_trace: what happened")
