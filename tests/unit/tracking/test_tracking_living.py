"""How long tokens of versions and deployments are good: as long as what they were made for."""

from datetime import UTC, datetime
from typing import Any

import pytest
from builders.tracking import KEY, UID, FakeKube, token
from trainyard_tracking.errors import Busy, Refused, Unauthenticated, Unavailable
from trainyard_tracking.identity import DeploymentIdentity, VersionIdentity
from trainyard_tracking.living import Living, slim
from trainyard_tracking.tokens import verify
from trainyard_tracking.watching import Cache

DIGEST, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
VERSION = VersionIdentity("team", "digits-1", UID)
SERVING = DeploymentIdentity("team", "digits", frozenset({DIGEST}), UID)
GOING = {"deletionTimestamp": "2026-11-24T12:00:00Z"}


class Cluster:
    """An API server, and what is remembered of it."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.now = 0.0
        self.living = Living(
            self.kube,
            Cache("modelversions"),
            Cache("modeldeployments", slim),
            clock=lambda: self.now,
        )
        self.asked = 0
        get = self.kube.get

        def counted(path: str) -> Any:
            self.asked += 1
            return get(path)

        self.kube.get = counted  # type: ignore[method-assign]
        self.hear()

    def has(self, plural: str, **more: Any) -> None:
        made = self.kube.has(plural, "digits-1" if plural == "modelversions" else "digits", **more)
        made["metadata"] |= more.get("meta", {})
        self.kube.write(self.path(plural), made)

    def path(self, plural: str) -> str:
        name = "digits-1" if plural == "modelversions" else "digits"
        return f"/apis/trainyard.dev/v1alpha1/namespaces/team/{plural}/{name}"

    def hear(self) -> None:
        """Let the watches hear of it all."""
        for cache in (self.living.versions, self.living.deployments):
            held = [o for path, o in self.kube.objects.items() if f"/{cache.plural}/" in path]
            cache.replace(held, self.kube.revision)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.mark.parametrize("phase", [None, "Pending", "Publishing"])
def test_a_version_s_token_is_good_until_it_is_published(
    cluster: Cluster, phase: str | None
) -> None:
    cluster.has("modelversions", status={"phase": phase} if phase else {})
    cluster.hear()
    cluster.living.check(VERSION)

    assert cluster.asked == 0


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"status": {"phase": "Ready"}}, "is Ready and publishes no more"),
        ({"status": {"phase": "Rejected"}}, "is Rejected and publishes no more"),
        ({"meta": {"uid": "another"}}, "another than the token was made for"),
        ({"meta": GOING}, "is gone"),
    ],
)
def test_a_version_s_token_has_ended_where_it(
    cluster: Cluster, more: dict[str, Any], why: str
) -> None:
    cluster.has("modelversions", **more)
    cluster.hear()

    with pytest.raises(Unauthenticated, match=why):
        cluster.living.check(VERSION)


@pytest.mark.parametrize("who", [VERSION, SERVING])
def test_a_token_of_what_does_not_exist_is_refused(cluster: Cluster, who: Any) -> None:
    with pytest.raises(Unauthenticated, match="is gone; its token too"):
        cluster.living.check(who)


@pytest.mark.parametrize("place", ["stable", "updating"])
def test_a_deployment_s_token_is_good_while_its_digest_is(cluster: Cluster, place: str) -> None:
    cluster.has("modeldeployments", status={place: {"version": 1, "digest": DIGEST}})
    cluster.hear()

    cluster.living.check(SERVING)
    assert cluster.asked == 0


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"meta": {"uid": "another"}}, Unauthenticated),
        ({"meta": GOING}, Unauthenticated),
        ({"status": {"stable": {"version": 2, "digest": OTHER}}}, Busy),
        ({"status": {}}, Busy),
    ],
)
def test_a_deployment_s_token_gives_nothing_once_its_model_is_not_served(
    cluster: Cluster, more: dict[str, Any], kind: type[Refused]
) -> None:
    cluster.has("modeldeployments", **{"status": {"stable": {"digest": DIGEST}}, **more})
    cluster.hear()

    with pytest.raises(kind):
        cluster.living.check(SERVING)


def test_a_token_without_a_uid_is_good_for_the_deployment_that_was_made_when_it_says(
    cluster: Cluster,
) -> None:
    made = {"creationTimestamp": "2026-11-24T12:00:00Z"}
    cluster.has("modeldeployments", status={"stable": {"digest": DIGEST}}, meta=made)
    cluster.hear()
    now = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()

    def claim(**says: object) -> Any:
        told = token("deployment:team/digits", "digits", digests=[DIGEST], **says)
        return verify(told, KEY.public_key())

    cluster.living.check(claim(iat=int(now)))
    for stranger in (claim(iat=int(now) - 1), claim(iat=0)):
        with pytest.raises(Unauthenticated, match="another than the token was made for"):
            cluster.living.check(stranger)


def test_a_version_s_token_without_a_uid_is_good_for_none(cluster: Cluster) -> None:
    cluster.has("modelversions", status={})
    cluster.hear()

    with pytest.raises(Unauthenticated, match="another than"):
        cluster.living.check(VersionIdentity("team", "digits-1", ""))


@pytest.mark.parametrize(
    ("plural", "who", "status"),
    [
        ("modelversions", VERSION, {"phase": "Publishing"}),
        ("modeldeployments", SERVING, {"updating": {"digest": DIGEST}}),
    ],
)
def test_a_token_that_is_younger_than_what_was_heard_of_the_cluster_is_good(
    cluster: Cluster, plural: str, who: Any, status: dict[str, Any]
) -> None:
    cluster.has(plural, status=status)

    cluster.living.check(who)


def test_who_uses_a_dead_token_again_and_again_costs_the_api_server_little(
    cluster: Cluster,
) -> None:
    for seconds in (0, 1, 9, 11):
        cluster.now = seconds
        with pytest.raises(Unauthenticated):
            cluster.living.check(VERSION)

    assert cluster.asked == 2


def test_while_the_api_server_is_away_no_token_is_called_dead(cluster: Cluster) -> None:
    cluster.has("modelversions", status={"phase": "Publishing"})
    cluster.hear()
    cluster.kube.down = True

    cluster.living.check(VERSION)
    with pytest.raises(Unavailable):
        cluster.living.check(SERVING)
