"""What an operator can set: `ponder.toml`, over it `PONDER_*` variables, over these the flags."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from server import keys
from strategies.addresses import Address, EngineKey
from strategies.prompts import Example

Format = Literal["think", "fields", "none"]
EffortName = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
TOML = "ponder.toml"
NAME = r"^[A-Za-z0-9_.-]{1,64}$"
"""A tenant's name, which stands in logs."""
HOST = r"^[a-z0-9.-]{1,253}(:[0-9]{1,5})?$"
"""A host as URLs name it, with its port where they do."""


class Part(BaseModel):
    """A table of the settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Server(Part):
    """Where and how to listen."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    keep_alive: float = Field(15.0, gt=0, description="seconds of silence on a stream before a comment is sent")
    workers: int = Field(1, ge=1, le=256, description="processes that serve; each has its own [workers]")
    drain_delay: float = Field(5.0, ge=0, description="seconds of service after SIGTERM, in which /ready says 503")
    drain_seconds: float = Field(20.0, ge=0, description="after that, for running requests to end")
    pending_events: int = Field(
        1024, ge=1, description="events that may wait for a slow client before its engines are read no further"
    )
    metric_series: int = Field(
        2000, ge=500, description="series of /metrics, of all workers; more strategies, models, keys count as `other`"
    )
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="at `info`, each request has a line"
    )


class Tracing(Part):
    """Spans of requests, sent over OTLP/HTTP."""

    on: bool = False
    endpoint: str = Field("", description="where spans go, as http://host:4318/v1/traces; empty: OTEL_EXPORTER_OTLP_*")
    headers: dict[str, SecretStr] = Field({}, description="sent along, a key of the receiver's for one")
    service: str = Field("", description="the name of this server; empty: OTEL_SERVICE_NAME, else ponder")
    share: float = Field(1.0, ge=0, le=1, description="of the requests that are traced, where their callers do not say")
    content: bool = Field(False, description="whether spans have the words of prompts and answers")
    characters: int = Field(8192, ge=1, description="of each text in a span")
    queue: int = Field(8192, ge=1, description="spans that wait to be sent; further ones are dropped")
    batch: int = Field(64, ge=1, description="spans that are sent together")
    flush_seconds: float = Field(2.0, gt=0, description="how long a span waits for others, to be sent with them")
    seconds: float = Field(5.0, gt=0, description="for one sending, and for the last one at the server's end")

    @model_validator(mode="after")
    def _holds_a_batch(self) -> Self:
        if self.batch > self.queue:
            raise ValueError("batch cannot be more than queue")
        return self


class Door(Part):
    """What a connection may take before, and beside, what its requests ask for."""

    header_bytes: int = Field(16 << 10, ge=1024, description="a request's first line and headers; also its trailers")
    headers: int = Field(64, ge=1, description="headers of one request")
    header_seconds: float = Field(10.0, gt=0, description="until the headers are there")
    body_seconds: float = Field(30.0, gt=0, description="until the body is there")
    body_rate: int = Field(1024, ge=0, description="bytes a second that a body must bring after its first 5 seconds")
    idle_seconds: float = Field(5.0, gt=0, description="a connection is kept for, after a reply")
    stall_seconds: float = Field(30.0, gt=0, description="a client may take nothing of its reply, before it is dropped")
    connections: int = Field(8192, ge=1, description="at once, in each process")
    connections_per_address: int = Field(0, ge=0, description="at once from one client address; 0: any number")


class Engine(Part):
    """A running vLLM."""

    url: Address
    name: str | None = Field(
        None, min_length=1, max_length=64, description="in metrics; its place, from 0, without one"
    )
    model: str | None = Field(None, description="serve only this one of its models")
    api_key: EngineKey | None = None
    connect_seconds: float = Field(2.0, gt=0)
    first_seconds: float = Field(300.0, gt=0, description="the longest wait for an answer to begin, queueing included")
    idle_seconds: float = Field(120.0, gt=0, description="the longest silence of an answer that has begun")


class PoolSettings(Part):
    """How calls are spread over engines, made again, and kept from engines that fail."""

    load_factor: float = Field(
        1.25, ge=1, description="times the mean of sequences in flight that an engine may have before others get some"
    )
    retry_share: float = Field(0.15, ge=0, le=1, description="retries earned by each call that goes well")
    retry_reserve: int = Field(10, ge=0, description="retries to begin with")
    eject_failures: int = Field(5, ge=1, description="failures in a row that put an engine out")
    eject_share: float = Field(0.5, gt=0, le=1, description="so does a larger share of failures in the last 10 s")
    eject_seconds: float = Field(5.0, gt=0, description="how long at first; then twice as long each time, to a minute")
    check_seconds: float = Field(2.0, gt=0, description="how often an engine that is out is asked for its health")


class Defaults(Part):
    """What holds where a request does not say."""

    strategy: str | dict[str, Any] = "single"
    verifier: str | dict[str, Any] = "p_true"
    format: Format = Field("think", description="where the reasoning goes when a strategy is used")


class Limits(Part):
    """The most that one request may ask for."""

    n: int = Field(1024, ge=1, description="sequences in flight at once")
    tokens: int = Field(1 << 20, ge=1, description="tokens sampled for one request, and its budget where it names none")
    samples: int = Field(8192, ge=1, description="sequences started for one request")
    seconds: float = Field(600.0, gt=0, description="wall time of one request")
    quorum: float = Field(
        0.5, ge=0, le=1, description="the share of a request's sequences that has to be left for an answer"
    )
    body_bytes: int = Field(8 << 20, ge=1, description="the body of one request")
    messages: int = Field(4096, ge=1, description="messages, or items of input, of one request")
    media_hosts: frozenset[Annotated[str, Field(pattern=HOST)]] = Field(
        frozenset(),
        description="hosts whose images, audio and video engines may be told to fetch",
    )
    unknown_fields: Literal["refuse", "pass_on"] = "refuse"
    template_arguments: tuple[str, ...] = Field(
        ("enable_thinking", "thinking"), description="what requests may pass to chat templates"
    )
    run_code: bool = Field(False, description="whether the verifier `code` may run what the model writes")


class Idempotency(Part):
    """Replies kept for requests that come again with the same `Idempotency-Key`."""

    seconds: float = Field(600.0, ge=0, description="how long a reply is kept after its end; 0 ignores the keys")
    bytes: int = Field(64 << 20, ge=0, description="the most that all kept replies take")


class Quotas(Part):
    """What a tenant may use; what is not named has no limit but the server's."""

    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1, description="tokens sampled, verifiers' included")
    samples: int | None = Field(None, ge=1, description="sequences of all its requests, running or waiting")
    n: int | None = Field(None, ge=1, description="as limits.n")
    tokens: int | None = Field(None, ge=1, description="as limits.tokens")
    strategies: tuple[str, ...] | None = Field(None, description="those it may name")
    models: tuple[str, ...] | None = Field(None, description="those it sees")
    weight: float = Field(1.0, gt=0, description="its share where requests have to wait")
    priority: int = Field(0, ge=-(2**31), lt=2**31, description="in the engines' own queues; lower goes first")
    metrics: bool = Field(False, description="whether it may read /metrics, which tells of all")


class Key(Quotas):
    """A tenant: the digest of its key, or the key itself, and its quotas."""

    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="hex digest of the key")
    key: SecretStr | None = None

    @model_validator(mode="after")
    def _one_strong_key(self) -> Self:
        if (self.sha256 is None) == (self.key is None):
            raise ValueError("give either sha256 or key")
        if self.sha256 == keys.digest(""):
            raise ValueError("this is the digest of an empty key")
        if self.key is not None and (why := keys.weakness(self.key.get_secret_value())):
            raise ValueError(f"the key is too weak: {why}; `ponder key` makes a good one")
        return self

    @property
    def digest(self) -> str:
        """The SHA-256 of the key, in hex."""
        return keys.digest(self.key.get_secret_value()) if self.key is not None else self.sha256 or ""


class Auth(Part):
    """Who is let in where there are keys, and what keeps tenants apart."""

    open: bool = Field(False, description="serve others than this machine though there are no keys")
    open_metrics: bool = Field(False, description="let anybody read /metrics though there are keys")
    cache_secret: SecretStr = Field(SecretStr(""), description="makes the tenants' cache salts; empty: random")

    @field_validator("cache_secret")
    @classmethod
    def _is_strong(cls, secret: SecretStr) -> SecretStr:
        if secret and (why := keys.weakness(secret.get_secret_value())):
            raise ValueError(f"the secret is too weak: {why}; `ponder key` makes a good one")
        return secret


class Admission(Part):
    """How much all requests together may have at work, and how many may wait for it."""

    samples: int = Field(4096, ge=1, description="sequences in flight")
    tokens: int = Field(1 << 28, ge=1, description="tokens that the requests at work may yet take")
    queue: int = Field(1024, ge=0, description="requests that wait")
    queue_seconds: float = Field(60.0, gt=0, description="the longest that one waits")
    engine_priority: bool = Field(False, description="all engines run with --scheduling-policy priority")


class Workers(Part):
    """The processes that parse what may take too long to parse, and what one call of theirs may take."""

    processes: int = Field(2, ge=1, le=64)
    ahead: bool = Field(False, description="start them with the server: some 80 MB each, and no first call that waits")
    seconds: float = Field(2.0, gt=0, description="wall time of one call")
    memory_mb: int = Field(1024, ge=256, description="address space of one process, in MiB")


class BudgetSpec(BaseModel):
    """The most to spend on a request; any subset."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    tokens: int | None = Field(None, ge=1, description="tokens sampled, verifiers' included")
    seconds: float | None = Field(None, gt=0, description="wall time")
    samples: int | None = Field(None, ge=1, description="sequences started: a 4 x 4 wave is 16")


class Effort(Part):
    """What a `reasoning_effort` stands for."""

    strategy: str | dict[str, Any] | None = None
    budget: BudgetSpec = BudgetSpec()


def voting(n: int) -> Effort:
    """An effort that lets `n` samples vote."""
    return Effort(strategy={"name": "self_consistency", "n": n}, budget=BudgetSpec(tokens=n * 4096))


EFFORTS: dict[EffortName, Effort] = {
    "none": Effort(strategy="single"),
    "minimal": Effort(strategy="single"),
    "low": voting(4),
    "medium": voting(8),
    "high": voting(16),
    "xhigh": voting(32),
    "max": voting(64),
}


class VerifierSettings(BaseModel):
    """A verifier under a name of the operator's: its `kind` is one of `/v1/verifiers`, the rest are its settings."""

    model_config = ConfigDict(frozen=True, extra="allow")
    kind: str
    api_key: SecretStr | None = Field(None, description="of the engine, where a reward model judges")

    @property
    def given(self) -> dict[str, Any]:
        """Its settings, those of the kind."""
        return {**(self.model_extra or {}), **({"api_key": self.api_key} if self.api_key else {})}


class PromptSettings(Part):
    """A chain-of-thought prompt under a name of the operator's, built on the one that is its `kind`."""

    kind: Literal["zero_shot", "few_shot", "supervised", "long"] = "supervised"
    text: str | None = Field(
        None, min_length=1, description="what is said after the question, in the place of the kind's own words"
    )
    examples: list[Example] = Field([], description="questions and answers, shown as earlier turns")


class Settings(BaseSettings):
    """All of them. URLs of engines come only from here, never from a request."""

    model_config = SettingsConfigDict(
        env_prefix="PONDER_", env_nested_delimiter="__", extra="forbid", frozen=True, toml_file=TOML
    )
    server: Server = Server()
    door: Door = Door()
    engines: tuple[Engine, ...] = ()
    pool: PoolSettings = PoolSettings()
    defaults: Defaults = Defaults()
    limits: Limits = Limits()
    auth: Auth = Auth()
    admission: Admission = Admission()
    keys: dict[Annotated[str, Field(pattern=NAME)], Key] = {}
    workers: Workers = Workers()
    tracing: Tracing = Tracing()
    idempotency: Idempotency = Idempotency()
    efforts: dict[EffortName, Effort] = EFFORTS
    verifiers: dict[str, VerifierSettings] = {}
    prompts: dict[str, PromptSettings] = {}

    @field_validator("engines")
    @classmethod
    def _differ(cls, engines: tuple[Engine, ...]) -> tuple[Engine, ...]:
        names = [engine.name or str(at) for at, engine in enumerate(engines)]
        if len(set(names)) < len(names):
            raise ValueError("two engines have the same name")
        return engines

    @field_validator("keys")
    @classmethod
    def _keys_differ(cls, keys: dict[str, Key]) -> dict[str, Key]:
        if len({key.digest for key in keys.values()}) < len(keys):
            raise ValueError("two tenants have the same key")
        return keys

    @field_validator("efforts")
    @classmethod
    def _others_stay(cls, efforts: dict[EffortName, Effort]) -> dict[EffortName, Effort]:
        return EFFORTS | efforts

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(file: Path | None = None, **overrides: Any) -> Settings:
    """The settings from `file` (`ponder.toml` of this folder where there is one), the environment and `overrides`.

    Raises FileNotFoundError, tomllib.TOMLDecodeError, pydantic's ValidationError.
    """
    if file is None:
        return Settings(**overrides)
    if not file.exists():
        raise FileNotFoundError(f"no settings file {file}")

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    return FromFile(**overrides)
