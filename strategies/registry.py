"""Every strategy and verifier this process knows: ours, and those that installed packages bring as entry points."""

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel

from strategies.auto import Auto
from strategies.base import Strategy
from strategies.beam_search import BeamSearch
from strategies.best_of_n import BestOfN
from strategies.budget_forcing import BudgetForcing
from strategies.early_exit import EarlyExit
from strategies.parallel_then_revise import ParallelThenRevise
from strategies.protocols import Verifier
from strategies.revise import Revise
from strategies.rsa import Rsa
from strategies.self_consistency import SelfConsistency
from strategies.single import Single
from strategies.verifiers.arithmetic import Arithmetic
from strategies.verifiers.judge import Judge
from strategies.verifiers.p_true import PTrue

STRATEGIES: tuple[type[Strategy], ...] = (
    Single,
    SelfConsistency,
    BestOfN,
    BeamSearch,
    BudgetForcing,
    EarlyExit,
    Revise,
    ParallelThenRevise,
    Rsa,
    Auto,
)
VERIFIERS: tuple[type[BaseModel], ...] = (Arithmetic, PTrue, Judge)


class Registry:
    """Strategies and verifiers by name. Plugins enter by the groups "ponder.strategies" and "ponder.verifiers"."""

    def __init__(
        self, strategies: Iterable[type[Strategy]] = STRATEGIES, verifiers: Iterable[type[BaseModel]] = VERIFIERS
    ) -> None:
        self.strategies = {named(kind): kind for kind in strategies}
        self.verifiers = {named(kind): kind for kind in verifiers}

    @classmethod
    def installed(cls) -> "Registry":
        """The built-ins and all installed plugins."""
        return cls(
            (*STRATEGIES, *(point.load() for point in entry_points(group="ponder.strategies"))),
            (*VERIFIERS, *(point.load() for point in entry_points(group="ponder.verifiers"))),
        )

    def strategy(self, settings: dict[str, Any]) -> Strategy:
        """`{"name": "best_of_n", "n": 16}` as a BestOfN. Raises pydantic's ValidationError, KeyError for the name."""
        return self.strategies[settings["name"]].model_validate(settings)

    def verifier(self, settings: dict[str, Any]) -> Verifier:
        """`{"name": "judge"}` as a Judge. Raises as `strategy` does."""
        verifier: Any = self.verifiers[settings["name"]].model_validate(settings)
        return verifier  # type: ignore[no-any-return]


def named(kind: type[BaseModel]) -> str:
    """The name in a class's `name` field."""
    return str(kind.model_fields["name"].default)
