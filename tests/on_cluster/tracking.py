"""How the tracking service of the cluster is known to a client of one's own."""

import ssl
from base64 import b64decode

from on_cluster.runs import Kubectl

_SECRET = "trainyard-tracking-tls"


def authority(system: Kubectl) -> str:
    """Return the authority of its certificate, as PEM.

    Args:
        system: Of the namespace that the chart is in.
    """
    return b64decode(system.get("secret", _SECRET)["data"]["ca.crt"]).decode()


def trusting(system: Kubectl) -> ssl.SSLContext:
    """Return how its certificate is checked."""
    return ssl.create_default_context(cadata=authority(system))
