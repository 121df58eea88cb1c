"""What every resource has: metadata, conditions, and how models read and write JSON.

Nothing about a single kind belongs here.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from trainyard_api.contract import API_VERSION
from trainyard_api.moment import rfc3339
from trainyard_api.schema import Definition, map_list


def wire_name(field: str) -> str:
    """Return a field's name in JSON: camelCase, and ID in capitals as Kubernetes has it."""
    camel = to_camel(field)
    return f"{camel[:-2]}ID" if field.endswith("_id") else camel


Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str)]
"""A moment; RFC 3339 in UTC on the wire."""


class ApiModel(BaseModel):
    """An object of the API. Unknown fields are ignored, so that a newer CRD breaks no reader."""

    model_config = ConfigDict(
        alias_generator=wire_name,
        populate_by_name=True,
        extra="ignore",
        use_attribute_docstrings=True,
        frozen=True,
    )

    def to_object(self) -> dict[str, Any]:
        """Return the JSON object: camelCase, times as strings, without absent or default fields.

        The API server fills the same defaults in.
        """
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


class Condition(ApiModel):
    """One aspect of the state of a resource, as metav1.Condition."""

    type: str = Field(max_length=63)
    """What the condition is about, in CamelCase."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds: True, False or Unknown."""
    reason: str = Field(min_length=1, max_length=128)
    """Why, as one word in CamelCase that programs can rely on."""
    message: str = Field(max_length=32768)
    """Why, as a sentence for people, with what to do about it."""
    last_transition_time: Time
    """When the status last changed from one value to another."""
    observed_generation: int | None = Field(None, ge=0)
    """The metadata.generation that the condition is about."""


Conditions = Annotated[list[Condition], map_list("type", max_items=8)]


class ObjectMeta(ApiModel):
    """Metadata that Kubernetes keeps about every object; the fields that Trainyard reads."""

    name: str = ""
    namespace: str = ""
    generate_name: str | None = None
    uid: str = ""
    resource_version: str | None = None
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: list[str] = []
    owner_references: list[dict[str, Any]] = []


class Status(ApiModel):
    """What the statuses of all kinds begin with."""

    observed_generation: int | None = Field(None, ge=0)
    """The metadata.generation that this status is about."""
    conditions: Conditions = []
    """The state, aspect by aspect; `kubectl wait --for=condition=TYPE` waits for one."""

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of a type, or None."""
        return next((each for each in self.conditions if each.type == kind), None)


class Resource(ApiModel):
    """An object of one of Trainyard's kinds."""

    definition: ClassVar[Definition]

    api_version: str = API_VERSION
    """Version of the schema of this object."""
    kind: str
    """Kind of this object."""
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    """Standard object metadata."""

    def to_object(self) -> dict[str, Any]:
        """Return the JSON object, which names its kind and has metadata and a spec."""
        body = super().to_object()
        named = {"apiVersion": self.api_version, "kind": self.kind, "metadata": {}, "spec": {}}
        return named | body
