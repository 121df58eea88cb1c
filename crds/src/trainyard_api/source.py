"""Where a Run's code comes from."""

from typing import Annotated

from pydantic import Field

from trainyard_api.meta import ApiModel
from trainyard_api.schema import Rule, exactly_one, rules
from trainyard_api.values import Digest, ObjectName, RelativePath


class GitSource(ApiModel):
    """A commit of a git repository. A branch or tag is resolved once, for all attempts."""

    url: Annotated[
        str,
        Field(max_length=1000),
        Rule(
            r"self.matches('^(https?|ssh|git)://[^\\s]+$')"
            r" || self.matches('^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:[^\\s]+$')",
            "a git URL starts with https://, http://, ssh:// or git://, or is user@host:path",
        ),
        Rule(
            r"!self.matches('^[a-z]+://') || self.matches('^[a-z]+://([^/@]*@)?"
            r"([^/@:?#%\\[\\]\\\\\\x00-\\x20\\x7f]+|\\[[0-9a-fA-F:.]+\\])(:[0-9]*)?(/|$)')",
            "a git URL names its host after ://, with a port perhaps, and then a path, as in"
            " https://example.com/team/code.git",
        ),
        Rule(
            r"!self.matches('^https?://[^/@]*@')",
            "the URL holds a credential that everyone could read: put username and password into"
            " a Secret, and name it in credentialsSecret",
        ),
    ]
    """Where to clone from."""
    revision: Annotated[
        str,
        Field(min_length=1, max_length=250),
        Rule(
            r"self.matches('^[^-\\s][^\\s]*$')",
            "a revision is a branch, tag or commit; it has no space and starts with no dash",
        ),
        Rule(
            r"!self.matches('[*?\\[\\x00-\\x1f\\x7f]')",
            "a revision is one branch, tag or commit: git has no name with *, ?, [ or a control"
            " character in it",
        ),
    ]
    """Branch, tag or commit."""
    path: RelativePath | None = None
    """Folder in the repository to work in; absent: its root."""
    credentials_secret: ObjectName | None = None
    """Secret in the Run's namespace with `username` and `password`, or `ssh-privatekey` and
    `known_hosts`."""


class ArchiveSource(ApiModel):
    """A packed folder that was uploaded to the tracking service, as `trainyard run` does."""

    digest: Digest
    """SHA-256 of the archive: sha256: and 64 hexadecimal digits."""


class ConfigMapSource(ApiModel):
    """Files from a ConfigMap in the Run's namespace, each key a file."""

    name: ObjectName
    """Name of the ConfigMap."""


class Source(ApiModel):
    """Where the code comes from; exactly one of git, archive and configMap."""

    model_config = {
        "json_schema_extra": rules(
            Rule(
                exactly_one("git", "archive", "configMap"),
                "a source is exactly one of git, archive and configMap",
            )
        )
    }

    git: GitSource | None = None
    """A commit of a git repository."""
    archive: ArchiveSource | None = None
    """A packed folder that was uploaded."""
    config_map: ConfigMapSource | None = None
    """Files from a ConfigMap."""
