"""The part of a pod that a Run may say: environment, resources and a closed overlay.

Closed and typed, because all else in the pod is what keeps a Run a Run.
"""

from typing import Annotated, Literal

from pydantic import Field

from trainyard_api.contract import MANAGED_BY_LABEL, RESERVED_PATHS, RESERVED_VOLUME_PREFIX
from trainyard_api.meta import ApiModel
from trainyard_api.schema import OPAQUE, Rule, bounded, map_list, rules
from trainyard_api.values import Labels, ObjectName, Opaque, Quantity, RelativePath

_ONE_VARIANT = "[{}].filter(each, each).size() == 1"


def exactly_one(*fields: str) -> str:
    """Return the CEL expression that exactly one of the fields is set."""
    return _ONE_VARIANT.format(", ".join(f"has(self.{field})" for field in fields))


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


class ClaimVolume(ApiModel):
    """A PersistentVolumeClaim in the Run's namespace."""

    claim_name: ObjectName
    """Name of the claim."""
    read_only: bool | None = None
    """Mount it read-only."""


class KeyToPath(ApiModel):
    """A key and the file that it becomes."""

    key: str = Field(min_length=1, max_length=253)
    """Key in the Secret or ConfigMap."""
    path: RelativePath
    """File below the mount path."""


class ConfigMapVolume(ApiModel):
    """A ConfigMap as files."""

    name: ObjectName
    """Name of the ConfigMap."""
    items: Annotated[list[KeyToPath], Field(max_length=64)] | None = None
    """Keys to mount, each with its path; absent: all, each as a file of its name."""
    optional: bool | None = None
    """Go on without it if it does not exist, rather than wait."""


class SecretVolume(ApiModel):
    """A Secret as files."""

    secret_name: ObjectName
    """Name of the Secret."""
    items: Annotated[list[KeyToPath], Field(max_length=64)] | None = None
    """Keys to mount, each with its path; absent: all, each as a file of its name."""
    optional: bool | None = None
    """Go on without it if it does not exist, rather than wait."""


class EmptyDirVolume(ApiModel):
    """An empty folder that goes with the pod."""

    medium: Literal["Memory"] | None = None
    """Memory: keep it in memory, where it counts against the memory limit."""
    size_limit: Quantity | None = None
    """Most bytes that it may hold, such as 10Gi; the pod is evicted beyond."""


class Volume(ApiModel):
    """A volume that containers can mount."""

    model_config = {
        "json_schema_extra": rules(
            Rule(
                exactly_one("persistentVolumeClaim", "configMap", "secret", "emptyDir"),
                "a volume is exactly one of persistentVolumeClaim, configMap, secret and emptyDir",
            )
        )
    }

    name: Annotated[
        str,
        Field(max_length=63),
        Rule(
            "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"
            f" && !self.startsWith('{RESERVED_VOLUME_PREFIX}')",
            "a volume's name has lower-case letters, digits and dashes, and does not start with"
            f" {RESERVED_VOLUME_PREFIX}, which names Trainyard's own volumes",
        ),
    ]
    """Name that volumeMounts refer to."""
    persistent_volume_claim: ClaimVolume | None = None
    """A PersistentVolumeClaim in the Run's namespace."""
    config_map: ConfigMapVolume | None = None
    """A ConfigMap as files."""
    secret: SecretVolume | None = None
    """A Secret as files."""
    empty_dir: EmptyDirVolume | None = None
    """An empty folder that goes with the pod."""


class VolumeMount(ApiModel):
    """Where the container `main` sees a volume."""

    name: str = Field(min_length=1, max_length=63)
    """Name of the volume."""
    mount_path: Annotated[
        str,
        Field(max_length=500),
        Rule(
            "self.startsWith('/') && !self.contains(':')",
            "a mount path is absolute: begin it with /, and leave out any colon",
        ),
        Rule(
            f"!(self in {[*RESERVED_PATHS, *(f'{path}/' for path in RESERVED_PATHS)]})",
            f"{', '.join(RESERVED_PATHS)} belong to the Run: mount the volume elsewhere, or in a"
            " folder below",
        ),
    ]
    """Absolute path in the container."""
    sub_path: RelativePath | None = None
    """Folder or file of the volume to mount; absent: all of it."""
    read_only: bool | None = None
    """Mount it read-only."""


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
