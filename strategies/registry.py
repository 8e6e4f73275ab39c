"""Every strategy and verifier this process knows: ours, and those that installed packages bring as entry points."""

from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel

from strategies.a_star import AStar
from strategies.auto import Auto
from strategies.base import Strategy
from strategies.beam_search import BeamSearch
from strategies.best_of_n import BestOfN
from strategies.budget_forcing import BudgetForcing
from strategies.coverage import Coverage
from strategies.deepconf import DeepConf
from strategies.dvts import Dvts
from strategies.early_exit import EarlyExit
from strategies.gen_select import GenSelect
from strategies.knockout import Knockout
from strategies.mcts import Mcts
from strategies.parallel_then_revise import ParallelThenRevise
from strategies.particle_filter import ParticleFilter
from strategies.protocols import Verifier
from strategies.rebase import Rebase
from strategies.revise import Revise
from strategies.rsa import Rsa
from strategies.self_consistency import SelfConsistency
from strategies.short_m import ShortM
from strategies.single import Single
from strategies.verifiers.arithmetic import Arithmetic
from strategies.verifiers.code import Code
from strategies.verifiers.ensemble import Ensemble
from strategies.verifiers.expression import Expression
from strategies.verifiers.json_schema import JsonSchema
from strategies.verifiers.judge import Judge
from strategies.verifiers.logprob import LogProb
from strategies.verifiers.math_equal import MathEqual
from strategies.verifiers.outcome_reward import OutcomeReward
from strategies.verifiers.p_true import PTrue
from strategies.verifiers.process_reward import ProcessReward
from strategies.verifiers.regex import Regex
from strategies.verifiers.self_certainty import SelfCertainty

STRATEGIES: tuple[type[Strategy], ...] = (
    Single,
    BudgetForcing,
    EarlyExit,
    SelfConsistency,
    ShortM,
    DeepConf,
    Coverage,
    BestOfN,
    Knockout,
    GenSelect,
    BeamSearch,
    Dvts,
    Rebase,
    ParticleFilter,
    Mcts,
    AStar,
    Revise,
    ParallelThenRevise,
    Rsa,
    Auto,
)
VERIFIERS: tuple[type[BaseModel], ...] = (
    PTrue,
    Judge,
    Arithmetic,
    MathEqual,
    Expression,
    Regex,
    JsonSchema,
    Code,
    LogProb,
    SelfCertainty,
    OutcomeReward,
    ProcessReward,
    Ensemble,
)


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

    def verifier(self, settings: dict[str, Any], make: Callable[[Any], Verifier] | None = None) -> Verifier:
        """`{"name": "judge"}` as a Judge. Raises as `strategy` does.

        `make` makes the members of verifiers that have any, each from its name or settings; without it, this does.
        """
        kind = self.verifiers[settings["name"]]
        verifier: Any = kind.model_validate(settings, context={"make": make or self._member})
        return verifier  # type: ignore[no-any-return]

    def _member(self, spec: str | dict[str, Any]) -> Verifier:
        return self.verifier({"name": spec} if isinstance(spec, str) else spec)


def named(kind: type[BaseModel]) -> str:
    """The name in a class's `name` field."""
    return str(kind.model_fields["name"].default)
