"""What a judge gets to see of others' words: one JSON string that nothing in it can end, without special tokens."""

import json
import re

from strategies.answers import spoken
from strategies.types import Candidate
from strategies.verifiers.base import question

SHOWN = 16_000
"""Characters of a response that a judge gets to see: the end of a longer one."""
SPECIAL = re.compile(r"<(?=[|/\w｜][^<>\s]{0,40}>)|\[(?=/?[A-Z_]{3,24}\])")  # noqa: RUF001
"""Where a special token of some chat template may begin: <|im_end|>, </s>, <start_of_turn>, [INST]."""
OPENERS = frozenset(
    """
solution
answer
final answer
the answer
thought process
thinking process
reasoning
explanation
analysis
step 1
proof
let's solve this step by step
let's solve this problem step by step
let's think step by step
let's solve the problem
let us solve this step by step
let us think step by step
here is the solution
here's the solution
sure
okay
解
解答
解説
答
答案
思考过程
让我们一步一步地解决这个问题
让我们一步步思考
かいせつ
ステップバイステップで考えましょう
respuesta
solución
vamos a resolverlo paso a paso
resolvamos este problema paso a paso
lösung
antwort
lass uns das schritt für schritt lösen
réponse
résolvons ce problème étape par étape
решение
ответ
давайте решим это шаг за шагом
""".strip().splitlines()
)
"""Words that begin a solution and say nothing of it; judges take them for one (arXiv:2507.08794)."""
LONGEST_OPENER = 200
"""Characters of a response that may still be nothing but an opener."""


def fenced(text: str) -> str:
    """The text, or the end of a long one, as JSON; what may begin a special token is escaped, as JSON allows."""
    return SPECIAL.sub(lambda mark: f"\\u{ord(mark[0]):04x}", json.dumps(text[-SHOWN:], ensure_ascii=False))


def asked(candidate: Candidate) -> str:
    """The last question that the candidate answers, fenced."""
    return fenced(question(candidate))


def answered(candidate: Candidate) -> str:
    """A response as a judge sees it, fenced."""
    return fenced(shown(candidate))


def shown(candidate: Candidate) -> str:
    """What a judge sees of a response: its text, and the tools it calls."""
    calls = [{"name": call.name, "arguments": call.arguments} for call in candidate.calls]
    return candidate.text + (f"\nTool calls: {json.dumps(calls, ensure_ascii=False)}" if calls else "")


def hollow(candidate: Candidate) -> bool:
    """Whether there is nothing in a response to judge: no word at all, or, where it has ended, only an opener.

    A path that goes on may begin with one.
    """
    if candidate.calls:
        return False
    ended = candidate.finish != "step"
    said = (spoken(candidate) if ended else candidate.text)[: LONGEST_OPENER + 1].replace("\u2019", "'")
    words = " ".join("".join(c if c.isalnum() or c == "'" else " " for c in said).casefold().split())
    return not words or (ended and len(said) <= LONGEST_OPENER and words in OPENERS)
