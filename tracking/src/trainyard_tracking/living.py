"""Whether what a token speaks for is still there: tokens of versions and deployments have no end.

A version's is good until it is published or rejected, a Deployment's as long as the Deployment
serves the digest; both only for the very object they were made for, as names are used again. What
is kept of the cluster may be older than the token, so the cluster is asked before one is refused.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from trainyard_tracking.errors import Busy, Refused, Unauthenticated, Unavailable
from trainyard_tracking.identity import DeploymentIdentity, VersionIdentity
from trainyard_tracking.kube import Kube, KubeDown, KubeError, Object, resource_path
from trainyard_tracking.watching import Cache

_FINAL = frozenset({"Ready", "Rejected"})
_KEPT_SECONDS = 10.0
_MOST = 1_000
_ASK_AGAIN = 5

Claimant = VersionIdentity | DeploymentIdentity


def slim(deployment: Object) -> Object:
    """Keep of a Deployment which one it is, and what it serves."""
    metadata, status = deployment["metadata"], deployment.get("status") or {}
    kept = ("namespace", "name", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
    return {
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "status": {name: status[name] for name in ("stable", "updating") if status.get(name)},
    }


@dataclass(slots=True)
class Living:
    """Asks the watch caches, and the cluster where they say no; thread-safe as dicts are."""

    kube: Kube
    versions: Cache
    deployments: Cache
    clock: Callable[[], float] = time.monotonic
    _asked: dict[Claimant, tuple[float, Object | None]] = field(default_factory=dict)

    def check(self, who: Claimant) -> None:
        """Let a token pass whose end has not come.

        Raises:
            Unauthenticated: what it was made for has ended, or is another by now.
            Busy: its Deployment does not serve the digest at the moment; it may be about to.
            Unavailable: the cluster would have to be asked, and is away.
        """
        cache = self.versions if isinstance(who, VersionIdentity) else self.deployments
        if _refusal(who, cache.get(who.namespace, who.name)) is None:
            return
        refusal = _refusal(who, self._ask(cache, who))
        if refusal is not None:
            raise refusal

    def _ask(self, cache: Cache, who: Claimant) -> Object | None:
        """Ask the cluster, not each time: who has a dead token may use it often."""
        until, known = self._asked.get(who, (0.0, None))
        if until > self.clock():
            return known
        try:
            found = self.kube.get(resource_path(cache.plural, who.namespace, who.name))
        except (KubeDown, KubeError) as exc:
            if not isinstance(exc, KubeError) or exc.status != 404:
                what = f"whether {who.name} still needs this token"
                raise Unavailable(f"The Kubernetes API can't be asked {what}: {exc}") from exc
            found = None
        kept = None if found is None else cache.simplify(found)
        if _refusal(who, kept) is not None:
            if len(self._asked) >= _MOST:
                self._asked.clear()
            self._asked[who] = (self.clock() + _KEPT_SECONDS, kept)
        return kept


def _refusal(who: Claimant, resource: Object | None) -> Refused | None:
    kind = "ModelVersion" if isinstance(who, VersionIdentity) else "Deployment"
    told = f"{kind} {who.namespace}/{who.name}"
    if resource is None or "deletionTimestamp" in resource["metadata"]:
        return Unauthenticated(f"{told} is gone; its token too")
    if not _is_it(who, resource["metadata"]):
        return Unauthenticated(f"{told} is another than the token was made for: names are reused")
    status = resource.get("status") or {}
    if isinstance(who, VersionIdentity):
        if status.get("phase") in _FINAL:
            return Unauthenticated(f"{told} is {status['phase']} and publishes no more")
        return None
    served = {status[name]["digest"] for name in ("stable", "updating") if status.get(name)}
    if who.digests & served:
        return None
    message = f"{told} serves none of the models of this token now; if it is about to, ask again"
    return Busy(f"{message} in {_ASK_AGAIN} s", _ASK_AGAIN)


def _is_it(who: Claimant, metadata: Object) -> bool:
    """Tell whether a token was made for this very object.

    Those of Deployments said no UID once, and always when theirs was made: two of one name that
    were made in the same second are all that they can't tell apart.
    """
    if isinstance(who, VersionIdentity) or who.uid:
        return bool(who.uid == metadata["uid"])
    made = datetime.fromisoformat(metadata["creationTimestamp"])
    return made.timestamp() == who.made_at
