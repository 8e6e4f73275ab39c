"""What the simulated engine answers: chunks, whole replies, log-probabilities and errors in vLLM 0.32's shapes."""

import json
import math
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec

from benchmarks.engine_replies import Sample
from benchmarks.engine_requests import Refused, Wanted
from benchmarks.engine_text import EOS, SPECIALS, WORDS, decode, encode

DONE = b"data: [DONE]\n\n"
FINGERPRINT = "vllm-0.32.0-simulated"
BROKEN = Refused(500, "Internal server error", "InternalServerError")
IMPOSSIBLE = -9999.0
_quote = json.encoder.encode_basestring
_common = tuple(encode(f" {word}")[0] for word in WORDS)


def error(refused: Refused) -> bytes:
    """Write an error as vLLM does: `code` is the HTTP status, a number."""
    told = {"message": str(refused), "type": refused.kind, "param": refused.param, "code": refused.status}
    return msgspec.json.encode({"error": told})


def called(sample: Sample) -> list[dict[str, Any]]:
    """The tool calls of a sample; one that its limit cut off has got to none."""
    if sample.finish == "length":
        return []
    functions = [{"name": name, "arguments": arguments} for name, arguments in sample.calls]
    ids = [f"chatcmpl-tool-{uuid.uuid4().hex[:16]}" for _ in functions]
    return [
        {"index": index, "id": id, "type": "function", "function": function}
        for index, (id, function) in enumerate(zip(ids, functions, strict=True))
    ]


@dataclass(frozen=True, slots=True)
class Entry:
    """One token and its log-probability, then those of its alternatives, most likely first."""

    token: int
    text: str
    logprob: float
    top: Sequence[tuple[str, float]]


class Writer:
    """Writes what one request gets; its chunks share an id, a time and a model."""

    def __init__(self, wanted: Wanted, model: str) -> None:
        self._wanted = wanted
        self._id = f"{'chatcmpl' if wanted.chat else 'cmpl'}-{uuid.uuid4().hex[:16]}"
        self._created = int(time.time())
        self._model = model
        kind = "chat.completion.chunk" if wanted.chat else "text_completion"
        self._head = (
            f'data: {{"id":"{self._id}","object":"{kind}","created":{self._created},"model":{_quote(model)},"choices":['
        )
        self._end = "" if wanted.usage else f',"system_fingerprint":"{FINGERPRINT}"'

    def opening(self, index: int, prompt: Sequence[int]) -> bytes:
        """The chunk that opens a chat choice with its role; completions have none."""
        ids = _list(prompt) if self._wanted.token_ids else "null"
        return (
            f'{self._head}{{"index":{index},"delta":{{"role":"assistant","content":""}},"logprobs":null,'
            f'"finish_reason":null}}],"prompt_token_ids":{ids},"prompt_text":null}}\n\n'
        ).encode()

    def chunk(self, index: int, sample: Sample, start: int, stop: int, prompt: Sequence[int]) -> bytes:
        """The chunk for tokens start to stop of one choice; the first has the prompt's ids, the last how it ended."""
        wanted, last = self._wanted, stop == len(sample.ids)
        text = _quote("".join(sample.pieces[start:stop]))
        ids = _list(sample.ids[start:stop]) if wanted.token_ids else "null"
        logprobs = "null" if wanted.logprobs is None else self._logprobs(sample, start, stop).decode()
        finish = f'"{sample.finish}"' if last else "null"
        reason = json.dumps(sample.stop_reason) if last else "null"
        end = self._end if last else ""
        if wanted.chat:
            reason = f'"stop_reason":{reason},' if last else ""
            calls = ""
            if last and called(sample):
                finish, calls = '"tool_calls"', f',"tool_calls":{msgspec.json.encode(called(sample)).decode()}'
            return (
                f'{self._head}{{"index":{index},"delta":{{"content":{text}{calls}}},"logprobs":{logprobs},'
                f'"finish_reason":{finish},{reason}"token_ids":{ids}}}]{end}}}\n\n'
            ).encode()
        prompt_ids = _list(prompt) if wanted.token_ids and not start else "null"
        return (
            f'{self._head}{{"index":{index},"text":{text},"logprobs":{logprobs},"finish_reason":{finish},'
            f'"stop_reason":{reason},"prompt_token_ids":{prompt_ids},"token_ids":{ids}}}]{end}}}\n\n'
        ).encode()

    def closing(self, samples: Sequence[Sample], cached: int) -> bytes:
        """The end of a stream: the chunk that counts tokens, if asked for, and the mark."""
        if not self._wanted.usage:
            return DONE
        details = {"cached_tokens": cached} | ({"created_cache_tokens": 0} if self._wanted.chat else {})
        usage = msgspec.json.encode(self._usage(samples) | {"prompt_tokens_details": details}).decode()
        return f'{self._head}],"usage":{usage},"system_fingerprint":"{FINGERPRINT}"}}\n\n'.encode() + DONE

    def whole(self, samples: Sequence[Sample], cached: int) -> bytes:
        """The reply to a request that is not streamed; samples in order of index, `cached` tokens were known."""
        wanted = self._wanted
        details = {"cached_tokens": cached, "created_cache_tokens": None, "multimodal_tokens": None}
        usage = self._usage(samples) | {"prompt_tokens_details": details, "completion_tokens_details": None}
        shape = self._message if wanted.chat else self._text
        reply: dict[str, Any] = {
            "id": self._id,
            "object": "chat.completion" if wanted.chat else "text_completion",
            "created": self._created,
            "model": self._model,
            "choices": [shape(index, sample) for index, sample in enumerate(samples)],
            "service_tier": None,
            "system_fingerprint": FINGERPRINT,
            "usage": usage,
        }
        if wanted.chat:
            ids = wanted.prompts[0] if wanted.token_ids else None
            reply |= {"prompt_logprobs": None, "prompt_token_ids": ids, "prompt_text": None}
        return msgspec.json.encode(reply | {"kv_transfer_params": None, "ec_transfer_params": None, "metrics": None})

    def _text(self, index: int, sample: Sample) -> dict[str, Any]:
        shown, prompt = self._wanted.token_ids, self._wanted.prompts[index // self._wanted.n]
        return self._choice(index, sample, {"text": "".join(sample.pieces)}) | {
            "prompt_logprobs": None,
            "prompt_token_ids": prompt if shown else None,
            "routed_experts": None,
        }

    def _message(self, index: int, sample: Sample) -> dict[str, Any]:
        nothing = dict.fromkeys(("refusal", "annotations", "audio", "function_call", "reasoning"))
        message = {"role": "assistant", "content": "".join(sample.pieces), **nothing, "tool_calls": called(sample)}
        return self._choice(index, sample, {"message": message}) | {"routed_experts": None}

    def _choice(self, index: int, sample: Sample, said: dict[str, Any]) -> dict[str, Any]:
        logprobs = None if self._wanted.logprobs is None else self._logprobs(sample, 0, len(sample.ids))
        return {
            "index": index,
            **said,
            "logprobs": logprobs and msgspec.Raw(logprobs),
            "finish_reason": sample.finish,
            "stop_reason": sample.stop_reason,
            "token_ids": sample.ids if self._wanted.token_ids else None,
        }

    def _usage(self, samples: Sequence[Sample]) -> dict[str, Any]:
        prompt = sum(map(len, self._wanted.prompts))
        generated = sum(len(sample.ids) for sample in samples)
        return {"prompt_tokens": prompt, "total_tokens": prompt + generated, "completion_tokens": generated}

    def _logprobs(self, sample: Sample, start: int, stop: int) -> bytes:
        entries = list(_entries(self._wanted, sample, start, stop))
        if self._wanted.chat:
            content = [
                _scored(entry.text, entry.logprob)
                | {"top_logprobs": [_scored(*other) for other in entry.top[: self._wanted.logprobs]]}
                for entry in entries
            ]
            return msgspec.json.encode({"content": content})
        offset = sum(map(len, sample.spelled[:start]))
        offsets = [offset + sum(len(entry.text) for entry in entries[:place]) for place in range(len(entries))]
        return msgspec.json.encode(
            {
                "text_offset": offsets,
                "token_logprobs": [entry.logprob for entry in entries],
                "tokens": [entry.text for entry in entries],
                "top_logprobs": [{entry.text: entry.logprob} | dict(entry.top) for entry in entries],
            }
        )


def _entries(wanted: Wanted, sample: Sample, start: int, stop: int) -> Iterator[Entry]:
    """Each token's log-probability beside those asked for: the likeliest k, or the given ids."""
    for place in range(start, stop):
        token = sample.ids[place]
        text = SPECIALS[token] if token < len(SPECIALS) else sample.spelled[place]
        logprobs = _likely(wanted, sample, place)
        ranked = wanted.logprob_ids or islice(logprobs, wanted.logprobs)
        top = [(decode((other,)), logprobs.get(other, IMPOSSIBLE)) for other in ranked]
        yield Entry(token, text, logprobs.get(token, IMPOSSIBLE), top)


def _likely(wanted: Wanted, sample: Sample, place: int) -> Mapping[int, float]:
    """Log-probabilities at one place, likeliest first: what the choices leave, what the reply said, or made-up ones."""
    if wanted.choices:
        return _logged(_choice_chances(wanted.choices, sample, place))
    token = sample.ids[place]
    if sample.chances and place == 0:
        return _logged({encode(text)[0]: chance for text, chance in sample.chances.items()})
    return _made_up(token, (token * 37 + place * 11) % 60)


@lru_cache(maxsize=4096)
def _made_up(token: int, percent: int) -> Mapping[int, float]:
    chance = 0.4 + percent / 100
    others = [other for other in _common if other != token]
    return _logged({token: chance} | {other: (1 - chance) / 2**rank for rank, other in enumerate(others[:40], start=1)})


def _logged(chances: Mapping[int, float]) -> Mapping[int, float]:
    logprobs = {token: math.log(chance) for token, chance in chances.items() if chance > 0}
    return dict(sorted(logprobs.items(), key=lambda item: -item[1]))


def _choice_chances(choices: Sequence[str], sample: Sample, place: int) -> dict[int, float]:
    """The probabilities of the next tokens among the choices that agree with the tokens so far, summing to 1."""
    chances: dict[int, float] = {}
    for choice in choices:
        path = (*encode(choice), EOS)
        if path[:place] == tuple(sample.ids[:place]) and place < len(path):
            chances[path[place]] = chances.get(path[place], 0.0) + sample.chances.get(choice, 0.0)
    total = sum(chances.values()) or 1.0
    return {token: chance / total for token, chance in chances.items()}


def _scored(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def _list(ids: Sequence[int]) -> str:
    return f"[{','.join(map(str, ids))}]"
