"""What happened during a run, as facts. Observers read them; the stream, the trace and the metrics live on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from strategies.types import Candidate, Cause, Limit, Logprob, Spent, ToolCall


@dataclass(frozen=True, slots=True)
class Started:
    """A run began at the candidate `id`; `judged` tells whether its candidates will be scored."""

    id: str
    strategy: str
    judged: bool = False
    kind: Literal["started"] = "started"


@dataclass(frozen=True, slots=True)
class Opened:
    """A sequence was started: `id`, grown from `parent`.

    `thinks` tells whether it begins inside the model's own thinking; None where it may open one.
    """

    id: str
    parent: str
    thinks: bool | None = None
    kind: Literal["opened"] = "opened"


class Token(NamedTuple):
    """Text arrived for a sequence; `answer` marks one that is the answer while it grows.

    There are more of these than of all other events, so they are made the cheapest way there is.
    """

    id: str
    text: str
    tokens: int = 1
    answer: bool = False
    calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[Logprob, ...] = ()
    kind: Literal["token"] = "token"


@dataclass(frozen=True, slots=True)
class Closed:
    """A sequence stopped growing; the candidate's `finish` says why.

    `early`: it was its strategy that had seen enough, no limit and nobody who left.
    """

    candidate: Candidate
    early: bool = False
    kind: Literal["closed"] = "closed"


@dataclass(frozen=True, slots=True)
class Lost:
    """A sequence failed for a reason of the engine's, of the kind `cause`; `tokens` had arrived by then."""

    id: str
    error: str
    tokens: int = 0
    cause: Cause = "other"
    kind: Literal["lost"] = "lost"


@dataclass(frozen=True, slots=True)
class Scored:
    """A verifier judged a candidate."""

    candidate: Candidate
    kind: Literal["scored"] = "scored"


@dataclass(frozen=True, slots=True)
class Judging:
    """The run's verifier is called about the candidates `ids`; `Judged` tells when it is over, in the same task."""

    root: str
    ids: tuple[str, ...]
    kind: Literal["judging"] = "judging"


@dataclass(frozen=True, slots=True)
class Judged:
    """A call of the run's verifier, about the candidates `ids`, is over after `seconds`; what it said is `Scored`.

    `failure` says why it gave no scores: "cut" where its run ended first.
    """

    root: str
    ids: tuple[str, ...]
    seconds: float
    failure: Cause | Literal["cut"] | None = None
    kind: Literal["judged"] = "judged"


@dataclass(frozen=True, slots=True)
class Pruned:
    """Candidates are out of the search; they answer, and vote, only where there is nothing else."""

    root: str
    text: str
    ids: tuple[str, ...]
    kind: Literal["pruned"] = "pruned"


@dataclass(frozen=True, slots=True)
class Note:
    """A strategy says something about its search, perhaps about candidates (`ids`), with figures to read (`facts`).

    `degraded`: the search goes on with less than it should have, without its verifier for one.
    """

    root: str
    text: str
    ids: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    degraded: bool = False
    kind: Literal["note"] = "note"


@dataclass(frozen=True, slots=True)
class Answered:
    """The run `id` is over. `cut` names the limit that ended it; `spent` is the request's ledger up to here.

    `agreement` is the share of the votes for its answer; None where there was no other candidate, or nothing to read.
    """

    id: str
    candidate: Candidate
    cut: Limit | None
    spent: Spent
    agreement: float | None = None
    kind: Literal["answered"] = "answered"


Event = Started | Opened | Token | Closed | Lost | Scored | Judging | Judged | Pruned | Note | Answered
