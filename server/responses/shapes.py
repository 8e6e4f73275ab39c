"""The shapes of responses and of their events, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import Field

from server.schema import Wire
from server.trace import Flags, Trace


class InputDetails(Wire):
    cached_tokens: int = Field(description="found in the engine's prefix cache, the mean over its calls")
    cache_write_tokens: int = 0


class OutputDetails(Wire):
    reasoning_tokens: int = Field(description="all that was sampled but the answer")


class ResponseUsage(Wire):
    """`output_tokens` counts every token received for the request: samples that lost, judges, revisions."""

    input_tokens: int = Field(description="the rendered prompt, once")
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ResponsePart(Wire):
    type: Literal["reasoning_text", "output_text"]
    text: str
    annotations: list[Any] | None = None


class ResponseItem(Wire):
    """Reasoning (where there is some), the message, then calls."""

    id: str
    type: Literal["reasoning", "message", "function_call"]
    status: Literal["in_progress", "completed", "incomplete"]
    content: list[ResponsePart] | None = None
    summary: list[Any] | None = Field(None, description="of reasoning: empty, for the content has all of it")
    role: Literal["assistant"] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class IncompleteDetails(Wire):
    reason: Literal["max_output_tokens"]


class ResponseError(Wire):
    code: Literal["server_error", "invalid_prompt"]
    message: str


class ResponseObject(Wire):
    """A response; it also repeats what its request said."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    model: str
    output: list[ResponseItem]
    usage: ResponseUsage | None
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    ponder: Trace | Flags | None = Field(
        None, description="with return_trace: what happened; without: what the answer had to do without, if anything"
    )


class ResponseEvent(Wire):
    """One event of a streamed response; what else it has is as in OpenAI's document."""

    type: Literal[
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
        "response.incomplete",
        "response.failed",
    ]
    sequence_number: int
    response: ResponseObject | None = None
    output_index: int | None = None
    content_index: int | None = None
    item_id: str | None = None
    item: ResponseItem | None = None
    part: ResponsePart | None = None
    delta: str | None = None
    text: str | None = None
