"""What is asked of the model, and in which form: the conversation, tools, JSON, and where the reasoning goes."""

from typing import Any

from server.errors import refused
from server.schema import ChatMessage, ChatRequest, JsonFormat, SchemaFormat, Tool
from server.settings import Format, Settings
from strategies.base import Strategy
from strategies.prompts import Wording, instruct, wording
from strategies.types import Form, Message, Prompt


def prompt_of(request: ChatRequest, strategy: Strategy, settings: Settings) -> Prompt:
    """The conversation to render. A reply with a form of its own is asked for no other, unless the caller says so."""
    bound = bound_by(request)
    if bound and not strategy.whole:
        raise refused(f"{strategy.name} cannot be used with {bound}", bound, "unsupported_parameter")
    words = "none" if bound and "prompt" not in strategy.model_fields_set else strategy.prompt
    try:
        asked = wording(words, {name: made_wording(name, settings) for name in settings.prompts})
    except ValueError as error:
        raise refused(str(error), "reasoning_strategy.prompt") from None
    form: Form = "text"
    if structure_of(request):
        form = "whole" if request.structured_outputs and request.structured_outputs.choice else "json"
    return Prompt(
        instruct([message_of(message) for message in request.messages], asked),
        form=form,
        tools=tuple(tool_of(tool, request) for tool in request.tools or ()),
        template=request.chat_template_kwargs or {},
        once=strategy.once,
    )


def made_wording(name: str, settings: Settings) -> Wording:
    """A prompt of the settings. Raises ValueError where it is none."""
    told = settings.prompts[name].model_dump()
    return wording(Wording(name=told.pop("kind"), **told))


def message_of(message: ChatMessage) -> Message:
    """A message as the chat template gets it: an earlier answer without its inline thinking, which is not an answer."""
    told = message.model_dump(exclude_unset=True)
    if message.role == "developer":
        told["role"] = "system"
    if isinstance(told.get("content"), list):
        told["content"] = [said_as_text(part) for part in told["content"]]
    if message.role == "assistant":
        told["content"] = without_thinking(told.get("content"))
    return told


def said_as_text(part: dict[str, Any]) -> dict[str, Any]:
    """A content part as templates know it: a refusal is a text."""
    return {"type": "text", "text": part["refusal"]} if part["type"] == "refusal" else part


def without_thinking(content: Any) -> Any:
    """Message content, text or parts, from behind its inline thinking."""
    match content:
        case str():
            return content.rpartition("</think>")[2].lstrip() if "</think>" in content else content
        case list():
            return [{**part, "text": without_thinking(part["text"])} if "text" in part else part for part in content]
    return content


def tool_of(tool: Tool, request: ChatRequest) -> dict[str, Any]:
    """A tool as the engine gets it. vLLM binds the arguments of a call that has to be made only where told `strict`."""
    told = tool.model_dump(exclude_none=True)
    if request.tool_choice not in (None, "none", "auto"):
        told["function"].setdefault("strict", True)
    return told


def tool_use_of(request: ChatRequest) -> dict[str, Any]:
    """How the tools are to be used; they themselves are a part of the prompt."""
    if not request.tools:
        return {}
    wishes = request.model_dump(include={"tool_choice", "parallel_tool_calls"}, exclude_none=True)
    return wishes


def structure_of(request: ChatRequest) -> dict[str, Any]:
    """The grammar that binds the reply, as vLLM takes it."""
    match request.response_format:
        case JsonFormat():
            return {"structured_outputs": {"json_object": True}}
        case SchemaFormat(json_schema=wanted):
            return {"structured_outputs": {"json": wanted.schema_}}
    if request.structured_outputs:
        return {"structured_outputs": request.structured_outputs.model_dump(by_alias=True, exclude_none=True)}
    return {}


def bound_by(request: ChatRequest) -> str | None:
    """The parameter that gives the reply a form of its own."""
    if request.tools and request.tool_choice != "none":
        return "tools"
    if isinstance(request.response_format, JsonFormat | SchemaFormat):
        return "response_format"
    return "structured_outputs" if request.structured_outputs else None


def format_of(request: ChatRequest, settings: Settings) -> Format:
    """Where the reasoning goes; never into the content of what has a form of its own."""
    bound = bound_by(request)
    if bound and request.reasoning_format == "think":
        raise refused(f"with {bound} the reasoning cannot stand in the content; use fields", "reasoning_format")
    if request.reasoning_format:
        return request.reasoning_format
    if request.include_reasoning is False or (request.reasoning and request.reasoning.exclude):
        return "none"
    return "fields" if bound and settings.defaults.format == "think" else settings.defaults.format
