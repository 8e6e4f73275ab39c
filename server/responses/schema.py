"""A responses request as it stands on the wire. What is not named here is an unknown parameter."""

from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from server.responses.items import KIND, Input
from server.schema import Strict
from server.settings import BudgetSpec, EffortName


class ReasoningOptions(Strict):
    """How hard to think. `summary: auto` leaves it to the server, which gives the reasoning itself, not a summary."""

    effort: EffortName | None = None
    summary: Literal["auto"] | None = None
    generate_summary: Literal["auto"] | None = None


class PlainText(Strict):
    type: Literal["text"]


class JsonText(Strict):
    type: Literal["json_object"]


class JsonSchemaText(Strict):
    type: Literal["json_schema"]
    name: str = Field(min_length=1, max_length=64)
    document: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


Format = Annotated[
    Annotated[PlainText, Tag("[text]")]
    | Annotated[JsonText, Tag("[json_object]")]
    | Annotated[JsonSchemaText, Tag("[json_schema]")],
    KIND,
]


class TextOptions(Strict):
    format: Format | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class FunctionTool(Strict):
    """A function that the model may call; there are no tools of the server's own."""

    type: Literal["function"]
    name: str = Field(min_length=1)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionChoice(Strict):
    type: Literal["function"]
    name: str


Choice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("[text]")] | Annotated[FunctionChoice, Tag("[function]")],
    KIND,
]


class ResponseStreamOptions(Strict):
    include_obfuscation: bool | None = None


class ResponsesRequest(Strict):
    """A request for a response, and how to spend test-time compute on it."""

    model: str = Field(min_length=1, description="a model's id, or MODEL:STRATEGY")
    input: Input
    instructions: str | None = None
    max_output_tokens: int | None = Field(None, ge=1, description="tokens of one path, thinking included")
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    stream: bool | None = False
    stream_options: ResponseStreamOptions | None = None
    reasoning: ReasoningOptions | None = None
    text: TextOptions | None = None
    tools: Annotated[list[FunctionTool], Field(fail_fast=True)] | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None
    metadata: (
        Annotated[
            dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
        ]
        | None
    ) = None
    user: str | None = None
    safety_identifier: str | None = Field(None, max_length=64)
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    include: Annotated[list[str], Field(fail_fast=True)] | None = Field(
        None, description="reasoning.encrypted_content adds nothing; all else is refused"
    )
    store: bool | None = Field(None, description="nothing is stored: true is refused")
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    context_management: Any = None
    max_tool_calls: int | None = None
    moderation: Any = None
    prompt: Any = None
    prompt_cache_options: Any = None
    top_logprobs: int | None = None
    truncation: Literal["auto", "disabled"] | None = None
    reasoning_strategy: str | dict[str, Any] | None = Field(None, description="as for chat")
    reasoning_budget: BudgetSpec | None = None
    reasoning_quorum: float | None = Field(None, ge=0, le=1, description="as for chat")
    return_trace: Literal["full"] | bool | None = Field(False, description="the finished response has `ponder`")
