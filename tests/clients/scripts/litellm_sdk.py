"""litellm's SDK."""

import litellm
from aspects import AGAIN, FIELDS, KEY, MESSAGES, MODEL, UNKNOWN, URL, VOTE, tell


def completion(messages=MESSAGES, **fields):
    return litellm.completion(model=f"openai/{MODEL}", api_base=URL, api_key=KEY, messages=messages, **fields)


def answer(**fields):
    message = completion(**fields).choices[0].message
    return {"content": message.content, "reasoning": getattr(message, "reasoning_content", None)}


def stream(**fields):
    deltas = [choice.delta for chunk in completion(stream=True, **fields) for choice in chunk.choices]
    return {
        "pieces": [delta.content for delta in deltas if delta.content],
        "reasoning": "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas),
    }


def second_turn(**fields):
    first = completion(**fields).choices[0].message
    return {"content": completion([*MESSAGES, first, AGAIN]).choices[0].message.content}


tell(
    answer=answer,
    stream=stream,
    strategy=lambda: answer(extra_body=VOTE),
    strategy_stream=lambda: stream(extra_body=VOTE),
    fields=lambda: answer(extra_body=FIELDS),
    fields_stream=lambda: stream(extra_body=FIELDS),
    second_turn=lambda: second_turn(extra_body=VOTE),
    second_turn_with_fields=lambda: second_turn(extra_body=FIELDS),
    error=lambda: answer(extra_body=UNKNOWN),
    error_stream=lambda: stream(extra_body=UNKNOWN),
)
