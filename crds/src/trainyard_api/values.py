"""Small types that several kinds share: names, digests, durations, quantities, paths.

Each carries the CEL rule that the API server checks, with a message for the one who typed it.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from trainyard_api.contract import DIGEST_PATTERN, MAX_NAME, NAME_PATTERN
from trainyard_api.schema import INT_OR_STRING, Rule, bounded

Name = Annotated[
    str,
    Field(max_length=MAX_NAME),
    Rule(
        f"self.matches('{NAME_PATTERN}')",
        "a name starts with a lower-case letter, goes on with lower-case letters, digits and"
        " dashes, and does not end with a dash; rename it",
    ),
]
"""The name of a Trainyard resource."""

ObjectName = Annotated[
    str,
    Field(max_length=253),
    Rule(
        r"self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
        "this is no name of a Kubernetes object: use lower-case letters, digits, dashes and dots",
    ),
]
"""The name of any other Kubernetes object."""

Digest = Annotated[
    str,
    Field(max_length=71),
    Rule(
        f"self.matches('{DIGEST_PATTERN}')",
        "a digest is sha256: and 64 lower-case hexadecimal digits;"
        " `trainyard run` computes it when it uploads a folder",
    ),
]

Duration = Annotated[
    str,
    Field(max_length=20),
    Rule(
        "self.matches('^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?$') && self.matches('[1-9]')",
        "a duration is a positive number of hours, minutes and seconds, such as 90s, 15m or 1h30m",
    ),
]
"""A length of time such as 1h30m."""

RelativePath = Annotated[
    str,
    Field(min_length=1, max_length=500),
    Rule(
        r"!self.startsWith('/') && !self.matches('(^|/)\\.\\.(/|$)')",
        "a path here is relative and stays inside: remove the leading / and any ..",
    ),
    Rule(
        r"!self.matches('[\\x00-\\x1f\\x7f]')",
        "a path has no control character: rename the file or folder",
    ),
]

Quantity = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
    Field(max_length=32),
    INT_OR_STRING,
]
"""An amount of a resource, such as 500m, 2 or 4Gi."""

ModelVersionNumber = Annotated[int, Field(ge=1, le=999_999_999)]
MetricName = Annotated[str, Field(min_length=1, max_length=250)]
Labels = Annotated[dict[str, Annotated[str, Field(max_length=63)]], bounded(most=32)]
Tags = Annotated[
    dict[str, Annotated[str, Field(max_length=1000)]],
    bounded(most=32),
    Rule(
        "self.all(key, key != '' && size(key) <= 250 && !key.startsWith('mlflow.'))",
        "a tag's key has 1 to 250 characters and does not start with mlflow., which is MLflow's"
        " own; rename it",
    ),
]
RegistryTags = Annotated[
    dict[str, Annotated[str, Field(max_length=100_000)]],
    bounded(most=1000),
    Rule(
        "self.all(key, key != '' && size(key) <= 250 && key != 'mlflow.prompt.is_prompt')",
        "a tag's key has 1 to 250 characters and is not mlflow.prompt.is_prompt, as prompts are"
        " kept by the tracking service: register one with mlflow.genai.register_prompt",
    ),
]
"""Tags of models and versions, as long as MLflow has them; all of a resource fit in 1 MB."""
Description = Annotated[str, Field(max_length=5000)]
Opaque = dict[str, Any]
