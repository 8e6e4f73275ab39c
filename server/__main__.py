"""The `ponder` command: `serve`, `ask` and `key`."""

import sys
import tomllib
from pathlib import Path
from typing import Any

import anyio
from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, CliApp, CliPositionalArg, CliSubCommand, SettingsConfigDict, SettingsError

from server import keys
from server.serve import serve
from server.settings import Engine, Server, Settings, load


class Serve(BaseSettings):
    """Serve a model: that of a running vLLM (--engine-url), else of one started for it (--model).

    Each flag can also be set as PONDER_NAME, and everything else in ponder.toml or as PONDER_TABLE__NAME.
    """

    model_config = SettingsConfigDict(env_prefix="PONDER_", cli_kebab_case=True)
    config: Path | None = Field(None, description="the settings file, instead of ./ponder.toml")
    host: str | None = Field(None, description="the address to listen on [127.0.0.1]")
    port: int | None = Field(None, ge=0, le=65535, description="the port to listen on [8000]; 0 picks a free one")
    workers: int | None = Field(None, ge=1, le=256, description="processes that serve [1]")
    no_auth: bool = Field(False, description="serve others than this machine though the settings name no keys")
    engine_url: str | None = Field(None, description="a running vLLM, instead of a local one")
    engine_api_key: SecretStr | None = Field(None, description="its API key")
    model: str | None = Field(None, description="a Hugging Face id or a folder, for the local vLLM [the default model]")
    engine_python: Path | None = Field(None, description="the Python that has vLLM [the one that make sets up]")
    engine_args: str = Field("", description="further flags for the local vLLM, as one string")

    def settings(self) -> Settings:
        """The settings of file and environment, with these flags over them."""
        made = load(self.config)
        changes: dict[str, Any] = {}
        flags = {"host": self.host, "port": self.port, "workers": self.workers}
        given = {name: value for name, value in flags.items() if value is not None}
        if given:
            changes["server"] = Server(**{**made.server.model_dump(), **given})
        if self.engine_url:
            changes["engines"] = (Engine(url=self.engine_url, api_key=self.engine_api_key),)
        if self.no_auth:
            changes["auth"] = made.auth.model_copy(update={"open": True})
        return made.model_copy(update=changes)

    def cli_cmd(self) -> None:
        args = self.settings(), self.model, self.engine_python, tuple(self.engine_args.split())
        sys.exit(anyio.run(serve, *args, backend_options={"use_uvloop": True}))


class Ask(BaseSettings):
    """Ask a running Ponder, and watch it think."""

    model_config = SettingsConfigDict(env_prefix="PONDER_ASK_", cli_kebab_case=True)
    question: CliPositionalArg[str]
    strategy: str = Field("self_consistency", description="a strategy's name, or a JSON object with settings")
    model: str | None = Field(None, description="[the server's first]")
    url: str = Field("http://127.0.0.1:8000", description="the server")
    tokens: int | None = Field(None, ge=1, description="budget: tokens sampled")
    seconds: float | None = Field(None, gt=0, description="budget: wall time")
    samples: int | None = Field(None, ge=1, description="budget: sequences started")
    max_tokens: int | None = Field(None, ge=1, description="tokens of one path")
    api_key: SecretStr | None = None

    def cli_cmd(self) -> None:
        from server.ask import Question, ask  # a server has no use for what shows things on a terminal

        limits = {"tokens": self.tokens, "seconds": self.seconds, "samples": self.samples}
        question = Question(
            text=self.question,
            strategy=self.strategy,
            model=self.model,
            budget={name: value for name, value in limits.items() if value is not None},
            max_tokens=self.max_tokens,
        )
        sys.exit(anyio.run(ask, question, self.url, self.api_key.get_secret_value() if self.api_key else None))


class NewKey(BaseModel):
    """Make an API key: it goes to whom it is for, its digest into ponder.toml."""

    name: CliPositionalArg[str] = Field("NAME", description="the tenant's")

    def cli_cmd(self) -> None:
        key = keys.fresh()
        print(f'# key: {key}\n[keys.{self.name}]\nsha256 = "{keys.digest(key)}"')


class Ponder(BaseModel):
    """A server that makes a small model answer like a big one by thinking longer."""

    serve: CliSubCommand[Serve]
    ask: CliSubCommand[Ask]
    key: CliSubCommand[NewKey]

    def cli_cmd(self) -> None:
        CliApp.run_subcommand(self)


def main() -> None:
    """Run the command line. Mistakes in it, or in the settings, end with one line that names them."""
    try:
        CliApp.run(Ponder, cli_args=sys.argv[1:] or ["--help"])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        sys.exit(f"ponder: {'.'.join(map(str, first['loc'])) or 'settings'}: {first['msg']}")
    except tomllib.TOMLDecodeError as error:
        sys.exit(f"ponder: ponder.toml, or the file of --config: {error}")
    except (SettingsError, FileNotFoundError, ValueError) as error:
        sys.exit(f"ponder: {error}")


if __name__ == "__main__":
    main()
