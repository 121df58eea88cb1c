"""What a Run may say about its pods: a closed, typed overlay.

Closed and typed, because all else in the pod is what keeps a Run a Run.
"""

from typing import Annotated, Literal

from pydantic import Field

from trainyard_api.contract import MANAGED_BY_LABEL
from trainyard_api.meta import ApiModel
from trainyard_api.schema import OPAQUE, Rule, bounded, map_list, rules
from trainyard_api.values import Labels, ObjectName, Opaque
from trainyard_api.volumes import Volume, VolumeMount


class Toleration(ApiModel):
    """A taint of nodes that the pod may be put on all the same."""

    key: Annotated[str, Field(max_length=317)] | None = None
    """Key of the taint; absent together with operator Exists: every taint."""
    operator: Literal["Exists", "Equal"] | None = None
    """Exists, or Equal (which is meant if absent)."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Value of the taint, for Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; absent: every effect."""
    toleration_seconds: int | None = None
    """Seconds to stay on a node that gets a NoExecute taint; absent: for ever."""


class LocalReference(ApiModel):
    """An object in the same namespace, by name."""

    name: ObjectName
    """Name of the object."""


OverlayLabels = Annotated[
    Labels,
    Rule(
        f"self.all(key, !key.startsWith('trainyard.dev/') && key != '{MANAGED_BY_LABEL}')",
        f"labels of trainyard.dev and {MANAGED_BY_LABEL} are Trainyard's own; use another key",
    ),
]


PullSecrets = Annotated[list[LocalReference], map_list("name", max_items=16)]


class PodTemplate(ApiModel):
    """What to add to the pods of the Run; all else in them is Trainyard's."""

    model_config = {
        "json_schema_extra": rules(
            Rule(
                "!has(self.volumeMounts) || self.volumeMounts.all(mount,"
                " has(self.volumes) && self.volumes.exists(volume, volume.name == mount.name))",
                "a volumeMount names a volume that is not in podTemplate.volumes: add it there",
            )
        )
    }

    labels: OverlayLabels | None = None
    """Labels to add."""
    annotations: (
        Annotated[dict[str, Annotated[str, Field(max_length=4096)]], bounded(most=32)] | None
    ) = None
    """Annotations to add."""
    node_selector: Labels | None = None
    """Labels that a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=32)] | None = None
    """Taints of nodes to put up with, next to those of the runtime."""
    affinity: Annotated[Opaque, OPAQUE] | None = None
    """Affinity to nodes and pods, as in a pod's spec.affinity."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""
    runtime_class_name: ObjectName | None = None
    """RuntimeClass of the pods."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of the pods, for clouds' workload identity; its token is not mounted."""
    image_pull_secrets: PullSecrets | None = None
    """Secrets to pull the image with."""
    volumes: Annotated[list[Volume], map_list("name", max_items=32)] | None = None
    """Volumes to add."""
    volume_mounts: Annotated[list[VolumeMount], map_list("mountPath", max_items=32)] | None = None
    """Where the container `main` mounts them."""
    run_as_user: Annotated[int, Field(ge=1)] | None = None
    """User id that the containers run as, not 0; absent: the administrator's setting."""
    fs_group: Annotated[int, Field(ge=1)] | None = None
    """Group id that owns the volumes; absent: the administrator's setting."""
