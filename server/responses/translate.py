"""From a responses request to the chat request that asks the same. Pure."""

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import ValidationError

from server.errors import from_validation, refused
from server.responses.items import (
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    InputText,
    Message,
    OutputText,
    Part,
    Refusal,
)
from server.responses.schema import FunctionChoice, FunctionTool, JsonSchemaText, ResponsesRequest
from server.schema import ChatRequest

SAME = (
    "model",
    "stream",
    "temperature",
    "top_p",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "reasoning_strategy",
    "reasoning_budget",
    "reasoning_quorum",
    "return_trace",
)
"""Fields that chat has too."""
NAMES = {name: name for name in (*SAME, "tools", "tool_choice", "parallel_tool_calls")} | {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
"""What a parameter of chat is called in a responses request."""
HARMLESS: dict[str, tuple[Any, ...]] = {
    "store": (False,),
    "background": (False,),
    "previous_response_id": (),
    "conversation": (),
    "context_management": ([],),
    "moderation": (),
    "prompt": (),
    "top_logprobs": (0,),
    "truncation": ("disabled",),
}
"""Fields that are refused by name, unless they are null or say what holds anyway."""


def chat_request(asked: ResponsesRequest, media_hosts: Collection[str] = ()) -> ChatRequest:
    """The chat request that asks the same. Raises ApiError 400 with the caller's name of the parameter."""
    refuse_unsupported(asked)
    text, reasoning = asked.text, asked.reasoning
    same = {name: getattr(asked, name) for name in SAME}
    body = same | {
        "messages": messages(asked),
        "max_completion_tokens": asked.max_output_tokens,
        "reasoning_effort": reasoning.effort if reasoning else None,
        "reasoning_format": "fields",
        "verbosity": text.verbosity if text else None,
        "response_format": response_format(asked),
        "tools": [tool_of(tool) for tool in asked.tools or ()] or None,
        "tool_choice": tool_choice(asked) if asked.tools or asked.tool_choice not in ("auto", "none") else None,
        "parallel_tool_calls": asked.parallel_tool_calls if asked.tools else None,
    }
    given = {name: value for name, value in body.items() if value is not None}
    try:
        return ChatRequest.model_validate(given, context=media_hosts)
    except ValidationError as error:
        raise from_validation(error) from None


def refuse_unsupported(asked: ResponsesRequest) -> None:
    """Refuse, by name, what would have an effect elsewhere and cannot have one here."""
    for name, harmless in HARMLESS.items():
        value = getattr(asked, name)
        if value is not None and value not in harmless:
            raise refused(f"{name} is not supported", name, "unsupported_parameter")
    for one in asked.include or ():
        if one != "reasoning.encrypted_content":
            raise refused(f"include: {one!r} is not supported", "include", "unsupported_parameter")


def told(asked: ResponsesRequest) -> dict[str, Any]:
    """What a response repeats of its request."""
    text = asked.text.model_dump(exclude_none=True, by_alias=True) if asked.text else {}
    reasoning, choice = asked.reasoning, asked.tool_choice
    return {
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": asked.metadata or {},
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.effort if reasoning else None, "summary": None},
        "store": False,
        "background": False,
        "temperature": asked.temperature,
        "text": {"format": {"type": "text"}} | text,
        "tool_choice": choice.model_dump() if isinstance(choice, FunctionChoice) else choice or "auto",
        "tools": [tool.model_dump(exclude_unset=True) for tool in asked.tools or ()],
        "top_p": asked.top_p,
        "truncation": "disabled",
        "user": asked.user,
    }


def tool_choice(asked: ResponsesRequest) -> str | dict[str, Any] | None:
    """Which tool is to be called, in chat's shape."""
    choice = asked.tool_choice
    return {"type": "function", "function": {"name": choice.name}} if isinstance(choice, FunctionChoice) else choice


def tool_of(tool: FunctionTool) -> dict[str, Any]:
    """A function tool, in chat's shape."""
    return {"type": "function", "function": tool.model_dump(exclude_none=True, exclude={"type"})}


def response_format(asked: ResponsesRequest) -> dict[str, Any] | None:
    """The format of the text, in chat's shape."""
    format = asked.text.format if asked.text else None
    match format:
        case None:
            return None
        case JsonSchemaText():
            described = format.model_dump(exclude_none=True, exclude={"type"}, by_alias=True)
            return {"type": "json_schema", "json_schema": described}
    return {"type": format.type}


def messages(asked: ResponsesRequest) -> list[dict[str, Any]]:
    """The conversation in chat's shape; calls go with the message of the assistant's that they stand behind."""
    made: list[dict[str, Any]] = []
    if asked.instructions:
        made.append({"role": "system", "content": asked.instructions})
    items = [Message(role="user", content=asked.input)] if isinstance(asked.input, str) else asked.input
    for item in items:
        match item:
            case Message(role=role, content=content):
                made.append({"role": role, "content": content_of(content)})
            case FunctionCall():
                if not made or made[-1]["role"] != "assistant":
                    made.append({"role": "assistant", "content": None})
                made[-1].setdefault("tool_calls", []).append(call(item))
            case FunctionCallOutput(call_id=id, output=output):
                made.append({"role": "tool", "tool_call_id": id, "content": content_of(output)})
    return made


def call(item: FunctionCall) -> dict[str, Any]:
    return {
        "id": item.call_id,
        "type": "function",
        "function": {"name": item.name, "arguments": item.arguments},
    }


def content_of(content: str | Sequence[Part]) -> str | list[dict[str, Any]]:
    """What a message says: its text, the parts joined; the parts themselves where images are among them."""
    if isinstance(content, str):
        return content
    if not any(isinstance(part, InputImage) for part in content):
        return "".join(text_of(part) for part in content)
    return [
        image(part) if isinstance(part, InputImage) else {"type": "text", "text": text_of(part)} for part in content
    ]


def text_of(part: Part) -> str:
    match part:
        case InputText(text=text) | OutputText(text=text) | Refusal(refusal=text):
            return text
    return ""


def image(part: InputImage) -> dict[str, Any]:
    detail = {"detail": part.detail} if part.detail else {}
    return {"type": "image_url", "image_url": {"url": part.image_url, **detail}}
