"""The Secret that carries a token into a pod. Pure."""

from collections.abc import Mapping

from trainyard_api import contract

from trainyard_operator import names
from trainyard_operator.plan import Object


def token_secret(
    owner: Object, name: str, token: str, *, labels: Mapping[str, str], kind: str = ""
) -> Object:
    """Return the Secret with a token, owned by the resource that it speaks for."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": dict(labels),
            "ownerReferences": [names.owner_reference(owner, kind)],
        },
        "type": "Opaque",
        "stringData": {contract.TOKEN_KEY: token},
    }
