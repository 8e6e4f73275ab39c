"""The chat request and reply as they stand on the wire."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from server.media import MediaUrl
from server.settings import BudgetSpec, EffortName, Format
from server.trace import Flags, Trace

Role = Literal["developer", "system", "user", "assistant", "tool"]


class Strict(BaseModel):
    """A part of a request: no `"64"` or `true` for a number, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TextPart(Strict):
    type: Literal["text"]
    text: str


class ImageUrl(Strict):
    url: MediaUrl
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(Strict):
    type: Literal["image_url"]
    image_url: ImageUrl


class Located(Strict):
    url: MediaUrl


class VideoPart(Strict):
    """vLLM's own."""

    type: Literal["video_url"]
    video_url: Located


class AudioUrlPart(Strict):
    """vLLM's own."""

    type: Literal["audio_url"]
    audio_url: Located


class Audio(Strict):
    data: str = Field(pattern="^[A-Za-z0-9+/=]*$", description="base64")
    format: str = Field(pattern="^[a-z0-9]{1,8}$", description="wav, mp3, or another that the engine knows")


class AudioPart(Strict):
    type: Literal["input_audio"]
    input_audio: Audio


class RefusalPart(Strict):
    type: Literal["refusal"]
    refusal: str


Part = Annotated[TextPart | ImagePart | VideoPart | AudioUrlPart | AudioPart | RefusalPart, Field(discriminator="type")]


class ChatMessage(Strict):
    """One message; what else it carries goes to the model's chat template."""

    model_config = ConfigDict(extra="allow")
    role: Role
    content: str | Annotated[list[Part], Field(fail_fast=True)] | None = None


class StreamOptions(Strict):
    include_usage: bool | None = False
    include_obfuscation: bool | None = False


class Function(Strict):
    model_config = ConfigDict(extra="allow")
    name: str = Field(min_length=1, max_length=64)


class Tool(Strict):
    type: Literal["function"]
    function: Function


class NamedTool(Strict):
    type: Literal["function"]
    function: Function


class JsonSchema(Strict):
    model_config = ConfigDict(populate_by_name=True)
    name: str
    description: str | None = None
    schema_: dict[str, Any] = Field({}, alias="schema")
    strict: bool | None = None


class TextFormat(Strict):
    type: Literal["text"]


class JsonFormat(Strict):
    type: Literal["json_object"]


class SchemaFormat(Strict):
    type: Literal["json_schema"]
    json_schema: JsonSchema


class Structured(Strict):
    """vLLM's way to bind a reply; regular expressions and grammars are not taken from callers."""

    json_: dict[str, Any] | str | None = Field(None, alias="json")
    choice: Annotated[list[str], Field(min_length=1, fail_fast=True)] | None = None


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
    messages: list[ChatMessage] = Field(min_length=1, fail_fast=True)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, description="tokens of one path, all its steps and thinking together")
    max_completion_tokens: int | None = Field(None, ge=1, description="the newer name of max_tokens")
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    n: int | None = Field(None, ge=1, le=128, description="independent runs that share one budget")
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: int | None = Field(None, ge=-(2**62), lt=2**62)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[TextFormat | JsonFormat | SchemaFormat, Field(discriminator="type")] | None = None
    structured_outputs: Structured | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    include_reasoning: bool | None = None
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0)
    min_tokens: int | None = Field(None, ge=0)
    ignore_eos: bool | None = None
    skip_special_tokens: bool | None = None
    stop_token_ids: Annotated[list[int], Field(fail_fast=True)] | None = None
    bad_words: Annotated[list[str], Field(fail_fast=True)] | None = None
    allowed_token_ids: Annotated[list[int], Field(fail_fast=True)] | None = None
    reasoning_strategy: str | dict[str, Any] | None = Field(
        None, description="a strategy's name, or an object of its name and settings (see /v1/strategies)"
    )
    reasoning_budget: BudgetSpec | None = None
    reasoning_format: Format | None = Field(None, description="where the reasoning goes; none: nowhere")
    reasoning_effort: EffortName | None = None
    reasoning: Reasoning | None = None
    reasoning_quorum: float | None = Field(
        None, ge=0, le=1, description="the share of the sequences that has to be left for an answer; 0: any will do"
    )
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


class CalledFunction(Wire):
    name: str
    arguments: str


class CalledTool(Wire):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class ReplyMessage(Wire):
    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    reasoning: str | None = Field(None, description="with reasoning_format: fields; equal to reasoning_content")
    reasoning_content: str | None = None
    tool_calls: list[CalledTool] | None = None


class ReplyChoice(Wire):
    index: int
    message: ReplyMessage
    finish_reason: Literal["stop", "length", "tool_calls"]
    logprobs: dict[str, Any] | None = None


class ChatCompletion(Wire):
    """The reply to a request that does not stream."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ReplyChoice]
    usage: CompletionUsage
    ponder: Trace | Flags | None = Field(
        None, description="with return_trace: what happened; without: what the answer had to do without, if anything"
    )
