"""openai-python."""

from aspects import AGAIN, FIELDS, KEY, MESSAGES, MODEL, QUESTION, UNKNOWN, URL, VOTE, tell
from openai import BadRequestError, OpenAI

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


def responses(**fields):
    response = client.responses.create(model=MODEL, input=QUESTION, store=False, **fields)
    thought = [part.text for item in response.output if item.type == "reasoning" for part in item.content]
    return {"content": response.output_text, "reasoning": "".join(thought), "status": response.status}


def responses_stream(**fields):
    events = list(client.responses.create(model=MODEL, input=QUESTION, store=False, stream=True, **fields))
    said = [event.delta for event in events if event.type == "response.output_text.delta"]
    thought = [event.delta for event in events if event.type == "response.reasoning_text.delta"]
    order = [event.sequence_number for event in events]
    return {
        "pieces": said,
        "reasoning": "".join(thought),
        "in_order": order == sorted(set(order)),
        "ends": [events[0].type, events[-1].type],
        "final": events[-1].response.output_text,
    }


def request_id_of_an_error():
    try:
        chat(extra_body=UNKNOWN)
    except BadRequestError as error:
        return error.request_id


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
    responses=responses,
    responses_vote=lambda: responses(extra_body=VOTE),
    responses_stream=responses_stream,
    responses_vote_stream=lambda: responses_stream(extra_body=VOTE),
    responses_error=lambda: responses(extra_body=UNKNOWN),
    completion=lambda: client.completions.create(model=MODEL, prompt="2 + 3 =").choices[0].text,
    request_id=request_id_of_an_error,
    error=lambda: chat(extra_body=UNKNOWN),
    error_stream=lambda: stream(extra_body=UNKNOWN),
)
