"""Environment variables of a Run."""

from typing import Annotated

from pydantic import Field

from trainyard_api.meta import ApiModel
from trainyard_api.schema import Rule, exactly_one, rules
from trainyard_api.values import ObjectName


class KeySelector(ApiModel):
    """A key of a Secret or ConfigMap in the Run's namespace."""

    name: ObjectName
    """Name of the Secret or ConfigMap."""
    key: str = Field(min_length=1, max_length=253)
    """Key in it."""
    optional: bool | None = None
    """Leave the variable out if the Secret, ConfigMap or key does not exist, rather than wait."""


class EnvSource(ApiModel):
    """Where the value of an environment variable comes from."""

    model_config = {
        "json_schema_extra": rules(
            Rule(
                exactly_one("secretKeyRef", "configMapKeyRef"),
                "valueFrom takes its value from exactly one of secretKeyRef and configMapKeyRef",
            )
        )
    }

    secret_key_ref: KeySelector | None = None
    """A key of a Secret."""
    config_map_key_ref: KeySelector | None = None
    """A key of a ConfigMap."""


class EnvVar(ApiModel):
    """An environment variable."""

    model_config = {
        "json_schema_extra": rules(
            Rule(
                exactly_one("value", "valueFrom"),
                "an environment variable has exactly one of value and valueFrom",
            )
        )
    }

    name: Annotated[
        str,
        Field(max_length=253),
        Rule(
            "self.matches('^[A-Za-z_][A-Za-z0-9_.-]*$')",
            "an environment variable's name has letters, digits and underscores, and does not"
            " start with a digit",
        ),
    ]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=8192)] | None = None
    """Its value, as text: quote numbers and booleans."""
    value_from: EnvSource | None = None
    """Where its value comes from instead."""


class ObjectReference(ApiModel):
    """A Secret or ConfigMap in the Run's namespace, by name."""

    name: ObjectName
    """Name of the Secret or ConfigMap."""
    optional: bool | None = None
    """Go on without it if it does not exist, rather than wait."""


class EnvFrom(ApiModel):
    """Environment variables from all keys of a Secret or ConfigMap."""

    model_config = {
        "json_schema_extra": rules(
            Rule(
                exactly_one("secretRef", "configMapRef"),
                "an item of envFrom names exactly one of secretRef and configMapRef",
            )
        )
    }

    secret_ref: ObjectReference | None = None
    """A Secret."""
    config_map_ref: ObjectReference | None = None
    """A ConfigMap."""
    prefix: Annotated[str, Field(max_length=100)] | None = None
    """What to put before each key."""
