"""openai-python."""

from aspects import AGAIN, FIELDS, KEY, MESSAGES, MODEL, UNKNOWN, URL, VOTE, tell
from openai import OpenAI

client = OpenAI(base_url=URL, api_key=KEY)


def chat(**fields):
    message = client.chat.completions.create(model=MODEL, messages=MESSAGES, **fields).choices[0].message
    return {"content": message.content, "reasoning": (message.model_extra or {}).get("reasoning")}


def stream(**fields):
    chunks = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}, **fields
    )
    pieces, usage = [], None
    for chunk in chunks:
        pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
        usage = chunk.usage or usage
    return {"pieces": pieces, "usage": usage.model_dump()}


def accumulated():
    with client.chat.completions.stream(model=MODEL, messages=MESSAGES, extra_body=FIELDS) as events:
        message = events.get_final_completion().choices[0].message
    return {"content": message.content, "reasoning": (message.model_extra or {}).get("reasoning_content")}


def second_turn(**fields):
    first = client.chat.completions.create(model=MODEL, messages=MESSAGES, **fields).choices[0].message
    reply = client.chat.completions.create(model=MODEL, messages=[*MESSAGES, first, AGAIN])
    return {"content": reply.choices[0].message.content}


# The Responses API of this client (`client.responses.create` and its stream) has its place here: not tested yet.
tell(
    models=lambda: [model.id for model in client.models.list()],
    answer=chat,
    stream=stream,
    strategy=lambda: chat(extra_body=VOTE),
    strategy_stream=lambda: stream(extra_body=VOTE),
    fields=lambda: chat(extra_body=FIELDS),
    fields_stream=accumulated,
    second_turn=lambda: second_turn(extra_body=VOTE),
    second_turn_with_fields=lambda: second_turn(extra_body=FIELDS),
    error=lambda: chat(extra_body=UNKNOWN),
    error_stream=lambda: stream(extra_body=UNKNOWN),
)
