"""Who a request belongs to, and what this one may ask for. A directory of tenants elsewhere is another `Tenants`."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from server import keys
from server.settings import Quotas, Settings
from strategies.registry import Registry

T = TypeVar("T")
EVERYONE = "everyone"
"""The one tenant of a server without keys."""
NOBODY = ("0" * 64, None)
"""What is found by the digest of an unknown key: something to compare with, as for a known one."""


@dataclass(frozen=True)
class Tenant:
    """One who is served: the quotas, and the server's settings and strategies as far as they are open to this one."""

    name: str
    quotas: Quotas
    settings: Settings
    registry: Registry

    def seen(self, models: Mapping[str, T]) -> dict[str, T]:
        """Those of the models that are open to this one."""
        allowed = self.quotas.models
        return {id: model for id, model in models.items() if allowed is None or id in allowed}


class Tenants(Protocol):
    """All who are served."""

    async def find(self, key: str) -> Tenant | None:
        """Who has this key ("" where a request brings none); None where nobody has."""
        ...


class Everyone:
    """One tenant without a key: whoever reaches the port."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self.tenant = Tenant(EVERYONE, Quotas(metrics=True), settings, registry)

    async def find(self, key: str) -> Tenant:
        return self.tenant


class Keyed:
    """The tenants of the settings, by the digests of their keys.

    A lookup by digest tells nothing by its time: who guesses does not know what the digest of the next guess shares
    with that of a key.
    """

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._tenants: dict[str, tuple[str, Tenant | None]] = {
            key.digest: (key.digest, tenant_of(name, key, settings, registry)) for name, key in settings.keys.items()
        }

    async def find(self, key: str) -> Tenant | None:
        digest = keys.digest(key)
        known, tenant = self._tenants.get(digest, NOBODY)
        return tenant if hmac.compare_digest(known, digest) else None


def tenants(settings: Settings, registry: Registry) -> Tenants:
    """The tenants of these settings. Raises ValueError, which names the setting, where a key's could not work."""
    return Keyed(settings, registry) if settings.keys else Everyone(settings, registry)


def tenant_of(name: str, quotas: Quotas, settings: Settings, registry: Registry) -> Tenant:
    """A tenant for whom the server's limits are narrowed to the quotas."""
    limits = settings.limits
    widest = min(limits.n, quotas.n or limits.n, quotas.samples or limits.n)
    narrowed = limits.model_copy(update={"n": widest, "tokens": min(limits.tokens, quotas.tokens or limits.tokens)})
    allowed = registry.strategies.keys() if quotas.strategies is None else set(quotas.strategies)
    if unknown := allowed - registry.strategies.keys():
        raise ValueError(f"keys.{name}.strategies: there is no {min(unknown)!r}")
    default = settings.defaults.strategy
    if (used := default if isinstance(default, str) else default.get("name")) not in allowed:
        raise ValueError(f"keys.{name}.strategies: the server's default, {used!r}, has to be among them")
    kinds = [kind for strategy, kind in registry.strategies.items() if strategy in allowed]
    return Tenant(
        name,
        quotas,
        settings.model_copy(update={"limits": narrowed}),
        Registry(kinds, registry.verifiers.values()),
    )
