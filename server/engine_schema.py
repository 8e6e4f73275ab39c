"""Requests that go to the engine as they are: what may pass. What is not named here is an unknown parameter."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from server.schema import ChatMessage, StreamOptions, Strict, Wire

FORBIDDEN = (
    "cache_salt",
    "chat_template",
    "chat_template_kwargs",
    "ec_transfer_params",
    "kv_transfer_params",
    "logits_processors",
    "mm_processor_kwargs",
    "priority",
    "prompt_embeds",
    "request_id",
    "use_beam_search",
    "vllm_xargs",
)
"""vLLM's fields that reach into the engine, or into what others cached there."""
STRATEGIC = (
    "reasoning",
    "reasoning_effort",
    "reasoning_strategy",
    "reasoning_budget",
    "reasoning_quorum",
    "reasoning_format",
    "return_trace",
)
"""Ponder's fields, which have an effect only on chat and responses."""


def kind(value: Any) -> str:
    """Which kind of prompt, or of stop, a value is; in brackets, which errors leave out."""
    match value:
        case str():
            return "[text]"
        case [int(), *_]:
            return "[ids]"
        case [list(), *_]:
            return "[many]"
    return "[texts]"


KIND = Discriminator(kind, custom_error_type="unsupported_type", custom_error_message="this type is not supported")
Id = Annotated[int, Field(ge=0)]
Ids = Annotated[list[Id], Field(min_length=1, fail_fast=True)]
Prompt = Annotated[
    Annotated[str, Tag("[text]")]
    | Annotated[list[str], Field(min_length=1, fail_fast=True), Tag("[texts]")]
    | Annotated[list[Id], Field(fail_fast=True), Tag("[ids]")]
    | Annotated[list[Ids], Field(fail_fast=True), Tag("[many]")],
    KIND,
]
Stop = Annotated[Annotated[str, Tag("[text]")] | Annotated[list[str], Field(max_length=4), Tag("[texts]")], KIND]


class TextStructure(Strict):
    """How vLLM limits what may be said: `regex`, `grammar` and `structural_tag` can cost it dearly, and do not pass."""

    json_: dict[str, Any] | str | None = Field(None, alias="json")
    choice: Annotated[list[str], Field(fail_fast=True)] | None = None
    json_object: bool | None = None


class TextSchema(Strict):
    """A JSON schema, by name."""

    name: str
    document: dict[str, Any] | None = Field(None, alias="schema")
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: TextSchema | None = None


class ToEngine(Strict):
    """A request for one engine. Extra fields are refused by their names when it is sent."""

    model_config = ConfigDict(extra="allow")
    model: str = Field(min_length=1, description="a model's id; aliases with strategies go with chat")


class CompletionRequest(ToEngine):
    """A text completion, which the engine answers as it is: no strategy has a part in it."""

    prompt: Prompt
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=0)
    n: int | None = Field(None, ge=1)
    best_of: Literal[1] | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    stop: Stop | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = Field(None, ge=0, le=20)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    user: str | None = None
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0)
    min_tokens: int | None = Field(None, ge=0)
    ignore_eos: bool | None = None
    stop_token_ids: Annotated[list[int], Field(fail_fast=True)] | None = None
    include_stop_str_in_output: bool | None = None
    skip_special_tokens: bool | None = None
    spaces_between_special_tokens: bool | None = None
    truncate_prompt_tokens: int | None = Field(None, ge=-1)
    add_special_tokens: bool | None = None
    allowed_token_ids: Annotated[list[int], Field(fail_fast=True)] | None = None
    bad_words: Annotated[list[str], Field(fail_fast=True)] | None = None
    prompt_logprobs: int | None = Field(None, ge=0, le=20)
    logprob_token_ids: Annotated[list[int], Field(fail_fast=True)] | None = None
    return_token_ids: bool | None = None
    return_tokens_as_token_ids: bool | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: TextStructure | None = None

    @property
    def sequences(self) -> int:
        """How many the engine is to write at once."""
        prompts = self.prompt if kind(self.prompt) in ("[texts]", "[many]") else (self.prompt,)
        return (self.n or 1) * len(prompts)


class TokenizeRequest(ToEngine):
    """A text, or a conversation under the model's chat template, to be turned into token ids."""

    prompt: str | None = None
    messages: Annotated[list[ChatMessage], Field(fail_fast=True)] | None = None
    tools: Annotated[list[dict[str, Any]], Field(fail_fast=True)] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None


class DetokenizeRequest(ToEngine):
    """Token ids to be turned into text."""

    tokens: Annotated[list[Id], Field(fail_fast=True)]


class TextChoice(Wire):
    index: int
    text: str
    finish_reason: str | None
    logprobs: Any = None


class EngineUsage(Wire):
    prompt_tokens: int
    completion_tokens: int | None = None
    total_tokens: int


class TextCompletion(Wire):
    """The engine's own answer; a stream's events are of the same shape."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: EngineUsage | None = None


class Tokenized(Wire):
    """The engine's own answer."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class Detokenized(Wire):
    """The engine's own answer."""

    prompt: str
