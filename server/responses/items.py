"""The items of a conversation, as a responses request has them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, model_validator

from server.media import MediaUrl
from server.schema import Strict

Status = Literal["in_progress", "completed", "incomplete"] | None
Role = Literal["developer", "system", "user", "assistant"]


def kind(value: Any) -> str:
    """The tag of an item, or of another part: in brackets, for those are left out of a parameter's name in errors."""
    match value:
        case str():
            return "[text]"
        case list():
            return "[list]"
        case {"type": type}:
            return f"[{type}]"
        case BaseModel():
            return f"[{getattr(value, 'type', 'message')}]"
    return "[message]"


KIND = Discriminator(kind, custom_error_type="unsupported_type", custom_error_message="this type is not supported")


class Said(Strict):
    """A part of a conversation. Clients send back what they got with all their own fields, many of them null."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return {name: one for name, one in value.items() if one is not None} if isinstance(value, dict) else value


class InputText(Said):
    type: Literal["input_text"]
    text: str


class InputImage(Said):
    """An image, for an engine that takes them."""

    type: Literal["input_image"]
    image_url: MediaUrl
    detail: Literal["auto", "low", "high"] | None = None


class OutputText(Said):
    """Text of an earlier reply; its annotations and log-probabilities are no part of a prompt."""

    type: Literal["output_text"]
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class Refusal(Said):
    type: Literal["refusal"]
    refusal: str


class ReasoningText(Said):
    type: Literal["reasoning_text"]
    text: str


Part = Annotated[
    Annotated[InputText, Tag("[input_text]")]
    | Annotated[InputImage, Tag("[input_image]")]
    | Annotated[OutputText, Tag("[output_text]")]
    | Annotated[Refusal, Tag("[refusal]")],
    KIND,
]
Content = Annotated[Annotated[str, Tag("[text]")] | Annotated[list[Part], Field(fail_fast=True), Tag("[list]")], KIND]


class Message(Said):
    """Something said; `type` may be left out."""

    type: Literal["message"] = "message"
    role: Role
    content: Content
    id: str | None = None
    status: Status = None
    phase: str | None = None


class FunctionCall(Said):
    """A call that the model made."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: Status = None


class FunctionCallOutput(Said):
    """What a call gave."""

    type: Literal["function_call_output"]
    call_id: str
    output: Content
    id: str | None = None
    status: Status = None


class ReasoningItem(Said):
    """The reasoning of an earlier reply: no part of a prompt."""

    type: Literal["reasoning"]
    id: str | None = None
    summary: list[Any] | None = None
    content: Annotated[list[ReasoningText], Field(fail_fast=True)] | None = None
    encrypted_content: str | None = None
    status: Status = None


Item = Annotated[
    Annotated[Message, Tag("[message]")]
    | Annotated[FunctionCall, Tag("[function_call]")]
    | Annotated[FunctionCallOutput, Tag("[function_call_output]")]
    | Annotated[ReasoningItem, Tag("[reasoning]")],
    KIND,
]
Input = Annotated[
    Annotated[str, Tag("[text]")] | Annotated[list[Item], Field(min_length=1, fail_fast=True), Tag("[list]")], KIND
]
