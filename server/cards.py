"""What the server has, as lists tell it: models and their aliases, strategies, verifiers."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from server.backends.wire import Model


class ModelCard(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "ponder"
    parent: str | None = Field(None, description="of an alias MODEL:STRATEGY: the model's id")
    max_model_len: int | None = None


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class Described(BaseModel):
    """A strategy or a verifier: its name, what it does, and the JSON schema of its settings."""

    name: str
    description: str
    settings_schema: dict[str, Any]


class DescribedList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Described]


def cards(models: Mapping[str, Model], strategies: Iterable[str]) -> dict[str, ModelCard]:
    """All models by id, then an alias of each with every strategy; an exact model id wins."""
    own = {
        one.id: ModelCard(id=one.id, created=one.created, max_model_len=one.max_model_len) for one in models.values()
    }
    aliases = [
        card.model_copy(update={"id": f"{card.id}:{name}", "parent": card.id})
        for card in own.values()
        for name in strategies
    ]
    return own | {alias.id: alias for alias in aliases if alias.id not in own}


def described(kinds: Mapping[str, Any]) -> DescribedList:
    """Strategies or verifiers by name, as a list."""
    data = [
        Described(name=name, description=(kind.__doc__ or "").strip(), settings_schema=kind.model_json_schema())
        for name, kind in kinds.items()
    ]
    return DescribedList(data=data)
