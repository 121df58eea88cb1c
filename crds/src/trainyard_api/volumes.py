"""Volumes of a Run's pods, and where they are mounted."""

from typing import Annotated, Literal

from pydantic import Field

from trainyard_api.contract import CA_DIRECTORY, RESERVED_PATHS, RESERVED_VOLUME_PREFIX
from trainyard_api.meta import ApiModel
from trainyard_api.schema import Rule, exactly_one, rules
from trainyard_api.values import ObjectName, Quantity, RelativePath

# A Secret is mounted at the authority's, which takes nothing below it.
_SHARED = tuple(path for path in RESERVED_PATHS if path != CA_DIRECTORY)


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
            f"!(self in {[*_SHARED, *(f'{path}/' for path in _SHARED)]})",
            f"{', '.join(_SHARED)} belong to the Run: mount the volume elsewhere, or in a"
            " folder below",
        ),
        Rule(
            f"self != '{CA_DIRECTORY}' && !self.startsWith('{CA_DIRECTORY}/')",
            f"{CA_DIRECTORY} and what is below it belong to the Run, which finds there by what it"
            " checks the tracking service: mount the volume elsewhere",
        ),
    ]
    """Absolute path in the container."""
    sub_path: RelativePath | None = None
    """Folder or file of the volume to mount; absent: all of it."""
    read_only: bool | None = None
    """Mount it read-only."""
