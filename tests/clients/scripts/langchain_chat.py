"""langchain-openai."""

from aspects import KEY, MODEL, QUESTION, UNKNOWN, URL, VOTE, tell
from langchain_openai import ChatOpenAI


def model(**fields):
    return ChatOpenAI(model=MODEL, base_url=URL, api_key=KEY, extra_body=fields or None)


def answer(**fields):
    message = model(**fields).invoke(QUESTION)
    return {"content": message.content, "usage": message.usage_metadata}


def stream(**fields):
    pieces = [chunk.text for chunk in model(**fields).stream(QUESTION)]
    return {"pieces": [piece for piece in pieces if piece]}


tell(
    answer=answer,
    stream=stream,
    strategy=lambda: answer(**VOTE),
    strategy_stream=lambda: stream(**VOTE),
    error=lambda: answer(**UNKNOWN),
    error_stream=lambda: stream(**UNKNOWN),
)
