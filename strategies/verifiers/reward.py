"""What verifiers share that ask a reward model: where it is served. Only the server's settings may say so."""

from typing import ClassVar

from pydantic import ConfigDict, Field

from strategies.addresses import Address, EngineKey
from strategies.protocols import Ask, Reward, Scorer
from strategies.verifiers.base import Settings


class RewardSettings(Settings):
    """A reward model of a vLLM with `--runner pooling`."""

    model_config = ConfigDict(hide_input_in_errors=True)
    operator: ClassVar[frozenset[str]] = frozenset({"url", "model", "api_key"})
    url: Address = Field(description="of the reward model's engine; only the server's settings may say so")
    model: str = Field(min_length=1, description="the reward model's name there; likewise")
    api_key: EngineKey | None = Field(None, description="of that engine; likewise")
    activation: bool = Field(True, description="values from 0 to 1, by sigmoid or softmax; false: raw values")

    def scorer(self, ask: Ask) -> Scorer:
        """The reward model."""
        key = self.api_key.get_secret_value() if self.api_key else None
        return ask.scorers(Reward(self.url, self.model, key))
