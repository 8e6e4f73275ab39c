"""A toy byte-level tokenizer and chat template for the simulated engine: reversible, and the same in every process.

Like a real one it has words with their leading space, single bytes for all else (so a character may span tokens), and
tokens that hold a stop string and more: `"\\n\\n   "` is one token.
"""

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
EOS = 2
ASSISTANT = "<|im_start|>assistant\n"

_WORDS = """
    a about after all an and answer are as assistant at be but by can check correct each five for four from get give
    given has have help how if in into is it let more no not number of on one or question second see seven six so
    step sum system ten that the then there third this three to total true two use user value we what which with yes
    Yes No Answer First Let Next Question So Step The Then Therefore We
"""
WORDS = tuple(_WORDS.split())
_LAYOUT = (
    "\n\n",
    "\n\n   ",
    "   ",
    "</",
    "><",
    "...",
    "=",
    " =",
    "+",
    " +",
    "-",
    " -",
    "*",
    " *",
    "/",
    " /",
    " <",
    "?\n",
)
_PIECES = (*WORDS, *(f" {word}" for word in WORDS), *_LAYOUT)
_BYTES: tuple[bytes, ...] = (
    *(special.encode() for special in SPECIALS),
    *(bytes([value]) for value in range(256)),
    *(piece.encode() for piece in _PIECES),
)
_IDS = {piece: number for number, piece in enumerate(_PIECES, start=len(SPECIALS) + 256)} | {
    special: number for number, special in enumerate(SPECIALS)
}
_SPLIT = re.compile("|".join(map(re.escape, SPECIALS)) + r"|\n+ *| ?[^\W\d_]+| ?[^\w\s]+|.", re.DOTALL)
VOCABULARY = len(_BYTES)


@lru_cache(maxsize=4096)
def encode(text: str) -> tuple[int, ...]:
    """Turn text into token ids; special tokens spelled in the text become their ids, as in vLLM."""
    ids: list[int] = []
    for piece in _SPLIT.findall(text):
        known = _IDS.get(piece)
        if known is None:
            ids.extend(byte + len(SPECIALS) for byte in piece.encode(errors="replace"))
        else:
            ids.append(known)
    return tuple(ids)


def decode(ids: Iterable[int]) -> str:
    """Turn token ids into text, special tokens included; `decode(encode(text)) == text` for any valid unicode text."""
    return b"".join(_BYTES[token] for token in ids if 0 <= token < VOCABULARY).decode(errors="replace")


def spell(ids: Sequence[int]) -> list[str]:
    """Say what each token adds to the text: nothing while a character is unfinished, nothing for a special token."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return [decoder.decode(_BYTES[token]) if token >= len(SPECIALS) else "" for token in ids]


def render(messages: Sequence[Mapping[str, Any]], *, open_reply: bool = True, continue_last: bool = False) -> str:
    """Render a chat as text: messages between special tokens, then the head of the reply, or the last one left open."""
    turns = [f"<|im_start|>{message['role']}\n{_content(message)}<|im_end|>\n" for message in messages]
    if continue_last:
        turns[-1] = turns[-1].removesuffix("<|im_end|>\n")
    return "".join(turns) + (ASSISTANT if open_reply else "")


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content)
    return content or ""
