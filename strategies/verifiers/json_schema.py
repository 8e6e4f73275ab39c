"""Checks that a response is a JSON document of a given shape."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from strategies.answers import spoken
from strategies.protocols import Ask, BackendError
from strategies.types import Candidate, Score
from strategies.verifiers.base import Settings
from strategies.verifiers.computing import each_text

LONGEST = 64_000
"""Characters of a schema."""


class JsonSchema(Settings):
    """1 where all of the text after thinking is one JSON document that the schema allows, else 0."""

    name: Literal["json_schema"] = "json_schema"
    wanted: dict[str, Any] | bool = Field(
        alias="schema", description="a JSON schema; references lead nowhere outside it"
    )

    @field_validator("wanted")
    @classmethod
    def _is_small(cls, wanted: dict[str, Any] | bool) -> dict[str, Any] | bool:
        if len(json.dumps(wanted)) > LONGEST:
            raise ValueError(f"a schema has at most {LONGEST} characters")
        return wanted

    async def score(self, candidates: Sequence[Candidate], ask: Ask) -> list[Score | None]:
        found = await each_text(conforming, [spoken(candidate) for candidate in candidates], ask, self.wanted)
        if "invalid" in found:
            raise BackendError("the schema is no valid JSON schema", 400, "reasoning_strategy.verifier.schema")
        return [None if one is None else Score(float(one == "conforms")) for one in found]


def conforming(texts: Sequence[str], schema: dict[str, Any] | bool) -> list[str]:
    """For each text "conforms" or "differs", or "invalid" where the schema is none. May take forever."""
    import jsonschema
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    kind: Any = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    empty: Any = Registry()
    try:
        kind.check_schema(schema)
        validator = kind(schema, registry=empty)
        return ["conforms" if _allows(validator, text) else "differs" for text in texts]
    except (jsonschema.SchemaError, Unresolvable, jsonschema.exceptions.UnknownType):
        return ["invalid"] * len(texts)


def _allows(validator: Any, text: str) -> bool:
    try:
        document = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return bool(validator.is_valid(document))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
