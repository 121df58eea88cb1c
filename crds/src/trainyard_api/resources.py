"""Compute resources of a container."""

from typing import Annotated

from trainyard_api.meta import ApiModel
from trainyard_api.schema import Rule, bounded, rules
from trainyard_api.values import Quantity

Quantities = Annotated[
    dict[str, Quantity],
    bounded(most=16),
    Rule(
        "self.all(key, type(self[key]) == int ? self[key] >= 0"
        " : isQuantity(self[key]) && !quantity(self[key]).isLessThan(quantity('0')))",
        "an amount of a resource is a quantity such as 500m, 2 or 4Gi",
    ),
]


class Resources(ApiModel):
    """Compute resources of a container."""

    model_config = {
        "json_schema_extra": rules(
            Rule(
                "!has(self.requests) || !has(self.limits) || self.requests.all(key,"
                " !(key in self.limits) || !isQuantity(string(self.requests[key]))"
                " || !isQuantity(string(self.limits[key]))"
                " || !quantity(string(self.requests[key]))"
                ".isGreaterThan(quantity(string(self.limits[key]))))",
                "a request is greater than its limit: raise the limit or lower the request",
            )
        )
    }

    requests: Quantities | None = None
    """What the scheduler sets aside: cpu in cores (500m is half a core), memory in bytes (4Gi),
    and others, such as nvidia.com/gpu, in whole units."""
    limits: Quantities | None = None
    """What the container may use at most, in the same units."""
