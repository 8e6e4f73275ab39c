"""langchain-openai."""

from aspects import AGAIN, KEY, MESSAGES, MODEL, QUESTION, UNKNOWN, URL, VOTE, tell
from langchain_openai import ChatOpenAI


def model(**fields):
    return ChatOpenAI(model=MODEL, base_url=URL, api_key=KEY, extra_body=fields or None)


def answer(**fields):
    message = model(**fields).invoke(QUESTION)
    return {"content": message.content, "usage": message.usage_metadata}


def stream(**fields):
    pieces = [chunk.text for chunk in model(**fields).stream(QUESTION)]
    return {"pieces": [piece for piece in pieces if piece]}


def second_turn():
    first = model(**VOTE).invoke(QUESTION)
    return {"content": model().invoke([*MESSAGES, first, AGAIN]).content}


tell(
    answer=answer,
    stream=stream,
    strategy=lambda: answer(**VOTE),
    strategy_stream=lambda: stream(**VOTE),
    second_turn=second_turn,
    error=lambda: answer(**UNKNOWN),
    error_stream=lambda: stream(**UNKNOWN),
)
