from datetime import timedelta
from typing import Any

import gen
import pytest
from gen_registry import NOW
from trainyard_api import serving as contract
from trainyard_operator import names
from trainyard_operator.conditions import rfc3339
from trainyard_operator.errors import NameTaken
from trainyard_operator.kinds import deployment as kind
from trainyard_operator.objects import serving
from trainyard_operator.plan import Object, Plan
from trainyard_operator.policies.following import Followed
from trainyard_operator.policies.rollout import Target
from trainyard_operator.settings import Runtime, Settings

KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr
-----END PRIVATE KEY-----
"""  # a test's own, made of the letter k
RUNTIME = Runtime(
    "sklearn",
    serving_image="serving:1",
    packages={"scikit-learn": "1.7.2"},
    tolerations=({"key": "gpu", "operator": "Exists"},),
)
SETTINGS = Settings(
    signing_key=KEY, runtimes={"sklearn": RUNTIME, "train": Runtime("train", image="x")}
)


def digest(number: int) -> str:
    return "sha256:" + f"{number:x}" * 64


def model(**aliases: int) -> Object:
    return gen.model(status={"aliases": aliases})


def version(number: int, **status: Any) -> Object:
    return gen.model_version(
        version=number, status=gen.published(number, digest=digest(number), **status)
    )


def child(of: Object, number: int, *, ready: int = 0, age: float = 60, **metadata: Any) -> Object:
    made = serving.serving_deployment(
        of, Target(number, digest(number)), runtime=RUNTIME, settings=SETTINGS
    )
    replicas = made["spec"]["replicas"]
    meta = {
        **made["metadata"],
        "uid": gen.uid("child", str(number)),
        "generation": 1,
        "creationTimestamp": rfc3339(NOW - timedelta(seconds=age)),
        **metadata,
    }
    status = {
        "observedGeneration": 1,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": ready,
    }
    return {**made, "metadata": meta, "status": status}


def crashing(number: int, restarts: int, message: str = "boom", **ended: Any) -> Object:
    state = {"exitCode": 1, "message": message, **ended}
    container = gen.container_status(
        "server", restarts=restarts, waiting={"reason": "CrashLoopBackOff"}
    )
    container["lastState"] = {"terminated": state}
    return pod(number, containerStatuses=[container])


def pod(number: int, **status: Any) -> Object:
    labels = {names.DEPLOYMENT: "digits", names.DIGEST: names.short_digest(digest(number))}
    return gen.pod(f"p{number}", metadata={"labels": labels}, **status)


def served(number: int) -> Object:
    return {"version": number, "digest": digest(number)}


def plan(
    resource: Object,
    *children: Object,
    follows: Object | None = None,
    pods: tuple[Object, ...] = (),
    model_: Object | None = None,
    number: int | None = None,
    **more: Any,
) -> Plan:
    if follows is not None:
        number = follows["spec"]["version"]
    followed = Followed(model_ or model(production=number or 0), number, follows)
    seen = kind.Observed(followed, children, pods, **more)
    return kind.plan(resource, seen, now=NOW, settings=SETTINGS)


def condition(told: Plan, type_: str) -> Object:
    (found,) = [c for c in told.status["conditions"] if c["type"] == type_]
    return found


def applied(told: Plan, of: str) -> list[str]:
    return [o["metadata"]["name"] for o in told.apply if o["kind"] == of]


class TestRolling:
    def test_the_first_version_gets_service_budget_token_and_child(self) -> None:
        told = plan(gen.model_deployment(), follows=version(1))

        assert [o["kind"] for o in told.create] == ["Service"]
        assert applied(told, "PodDisruptionBudget") == ["digits"]
        assert applied(told, "Secret") == ["digits-11111111-token"]
        assert applied(told, "Deployment") == ["digits-11111111"]
        assert told.status["updating"] == served(1)
        assert told.status["phase"] == "Pending"
        assert condition(told, "Available")["status"] == "False"
        assert told.status["endpoint"] == "http://digits.team.svc"

    def test_ready_it_is_stable_and_available(self) -> None:
        resource = gen.model_deployment(status={"updating": served(1)})
        told = plan(resource, child(resource, 1, ready=1), follows=version(1))

        assert told.status["stable"] == served(1)
        assert "updating" not in told.status
        assert told.status["phase"] == "Available"
        assert condition(told, "Progressing")["reason"] == "Complete"
        assert [e.reason for e in told.events] == ["RolledOut"]

    def test_settled_it_is_left_alone(self) -> None:
        resource = gen.model_deployment()
        children = (child(resource, 1, ready=1),)
        first = plan(resource, *children, follows=version(1))

        again = plan({**resource, "status": first.status}, *children, follows=version(1))

        assert again.status == first.status
        assert again.events == ()
        assert again.apply == first.apply

    def test_a_new_version_starts_beside_the_old_one(self) -> None:
        resource = gen.model_deployment(replicas=2, status={"stable": served(1)})
        told = plan(resource, child(resource, 1, ready=2), follows=version(2))

        assert applied(told, "Deployment") == ["digits-11111111", "digits-22222222"]
        assert told.delete == ()
        assert told.status["phase"] == "Progressing"
        assert condition(told, "Available")["status"] == "True"

    def test_the_old_one_goes_with_its_token_once_the_new_one_is_ready(self) -> None:
        resource = gen.model_deployment(replicas=2, status={"stable": served(1)})
        told = plan(
            resource,
            child(resource, 1, ready=2),
            child(resource, 2, ready=2),
            follows=version(2),
        )

        assert [(r.kind, r.name) for r in told.delete] == [
            ("Deployment", "digits-11111111"),
            ("Secret", "digits-11111111-token"),
        ]
        assert told.status["stable"] == served(2)

    def test_a_child_that_has_not_seen_its_new_spec_does_not_count(self) -> None:
        resource = gen.model_deployment(replicas=1, status={"stable": served(1)})
        told = plan(
            resource,
            child(resource, 1, ready=1),
            child(resource, 2, ready=1, generation=2),
            follows=version(2),
        )

        assert told.status["stable"] == served(1)

    def test_scaled_to_zero_nothing_answers_and_it_says_so(self) -> None:
        resource = gen.model_deployment(replicas=0)
        told = plan(resource, child(resource, 1), follows=version(1))

        assert condition(told, "Available")["reason"] == "ScaledToZero"
        assert told.status["phase"] == "Pending"


class TestNothingToServe:
    @pytest.mark.parametrize(
        ("seen", "reason", "told"),
        [
            pytest.param(
                {"number": None, "model_": model()}, "AliasEmpty", "promote", id="an empty alias"
            ),
            pytest.param(
                {
                    "number": None,
                    "model_": gen.model(
                        status={
                            "stages": [
                                {
                                    "name": "production",
                                    "refusal": {
                                        "version": 3,
                                        "reason": "BelowThreshold",
                                        "message": "accuracy is 0.81",
                                    },
                                }
                            ]
                        }
                    ),
                },
                "AliasEmpty",
                "0.81",
                id="an alias whose candidate was refused",
            ),
            pytest.param({"number": 7}, "VersionMissing", "7", id="a version that is not there"),
            pytest.param(
                {"follows": gen.model_version(version=3)},
                "VersionNotPublished",
                "version 3",
                id="a version on its way",
            ),
        ],
    )
    def test_says_why_and_what_is_served_stays(
        self, seen: dict[str, Any], reason: str, told: str
    ) -> None:
        resource = gen.model_deployment(status={"stable": served(1)})
        found = plan(resource, child(resource, 1, ready=1), **seen)

        assert condition(found, "Progressing")["reason"] == reason
        assert told in condition(found, "Progressing")["message"]
        assert applied(found, "Deployment") == ["digits-11111111"]
        assert condition(found, "Available")["status"] == "True"

    def test_a_missing_model_is_told(self) -> None:
        seen = kind.Observed(Followed())
        told = kind.plan(gen.model_deployment(), seen, now=NOW, settings=SETTINGS)

        assert condition(told, "Progressing")["reason"] == "ModelMissing"

    @pytest.mark.parametrize("runtime", ["nowhere", "train"])
    def test_a_runtime_that_cannot_serve_is_told_with_those_that_can(self, runtime: str) -> None:
        told = plan(gen.model_deployment(runtime=runtime), follows=version(1))

        assert condition(told, "Progressing")["reason"] == "RuntimeMissing"
        assert "sklearn" in condition(told, "Progressing")["message"]
        assert applied(told, "Deployment") == []

    def test_a_service_of_somebody_else_is_not_taken_over(self) -> None:
        with pytest.raises(NameTaken) as caught:
            plan(
                gen.model_deployment(),
                follows=version(1),
                service=gen.thing("v1", "Service", "digits"),
            )

        assert caught.value.reason == "NameTaken"

    def test_its_own_service_is_kept_as_described(self) -> None:
        resource = gen.model_deployment()
        own = gen.thing(
            "v1", "Service", "digits", metadata={"ownerReferences": [gen.owner(resource)]}
        )
        told = plan(resource, follows=version(1), service=own)

        assert applied(told, "Service") == ["digits"]
        assert told.create == ()


class TestServable:
    def test_a_mismatch_is_a_condition_with_the_fix_and_no_pod(self) -> None:
        other = version(2, requirements=["scikit-learn==1.6.1"])
        resource = gen.model_deployment(status={"stable": served(1)})
        told = plan(resource, child(resource, 1, ready=1), follows=other)

        assert applied(told, "Deployment") == ["digits-11111111"]
        assert condition(told, "Servable")["reason"] == "VersionMismatch"
        assert "scikit-learn==1.7.2" in condition(told, "Servable")["message"]
        assert condition(told, "Progressing")["reason"] == "NotServable"
        assert told.status["phase"] == "Degraded"


class TestFailing:
    def crashed(self, restarts: int, **more: Any) -> Plan:
        resource = gen.model_deployment(status={"stable": served(1)}, **more)
        return plan(
            resource,
            child(resource, 1, ready=1),
            child(resource, 2),
            follows=version(2),
            pods=(crashing(2, restarts, '{"reason": "LoadFailed", "message": "no model.pkl"}'),),
        )

    def test_a_crash_is_told_in_the_servers_words_while_the_old_one_serves(self) -> None:
        told = self.crashed(1)

        assert condition(told, "Progressing")["reason"] == "LoadFailed"
        assert "no model.pkl" in condition(told, "Progressing")["message"]
        assert condition(told, "Available")["status"] == "True"
        assert told.delete == ()

    def test_too_many_reject_the_digest(self) -> None:
        told = self.crashed(3, retry=7)

        assert told.status["rejected"] == {
            "digest": digest(2),
            "reason": "LoadFailed",
            "message": "no model.pkl",
            "retry": 7,
        }
        assert [r.name for r in told.delete] == ["digits-22222222", "digits-22222222-token"]
        assert "Rejected" in [e.reason for e in told.events]
        assert told.status["phase"] == "Degraded"

    def test_rejected_it_is_not_started_until_retry_changes(self) -> None:
        told = self.crashed(3)
        resource = gen.model_deployment(status=told.status)

        still = plan(resource, child(resource, 1, ready=1), follows=version(2))
        again = plan(
            gen.model_deployment(status=told.status, retry=1),
            child(resource, 1, ready=1),
            follows=version(2),
        )

        assert applied(still, "Deployment") == ["digits-11111111"]
        assert still.events == ()
        assert applied(again, "Deployment") == ["digits-11111111", "digits-22222222"]
        assert "rejected" not in again.status

    @pytest.mark.parametrize(
        ("seen", "reason", "told"),
        [
            pytest.param(
                crashing(2, 1, reason="OOMKilled"),
                "OutOfMemory",
                "spec.resources.limits.memory",
                id="out of memory",
            ),
            pytest.param(
                crashing(2, 1, "Traceback\nValueError: bad"),
                "ServerCrashed",
                "ValueError: bad",
                id="a traceback",
            ),
            pytest.param(
                pod(
                    2,
                    containerStatuses=[
                        gen.container_status(
                            "server", waiting={"reason": "ImagePullBackOff", "message": "denied"}
                        )
                    ],
                ),
                "ImagePullFailed",
                "denied",
                id="an image that cannot be pulled",
            ),
            pytest.param(
                pod(
                    2,
                    containerStatuses=[
                        gen.container_status(
                            "server", waiting={"reason": "CreateContainerConfigError"}
                        )
                    ],
                ),
                "ConfigMissing",
                "container",
                id="a container that cannot be made",
            ),
            pytest.param(
                pod(
                    2,
                    conditions=[
                        gen.condition("PodScheduled", "False", "Unschedulable", "no cpu left")
                    ],
                ),
                "Unschedulable",
                "no cpu left",
                id="no room",
            ),
        ],
    )
    def test_what_holds_a_pod_up_is_named(self, seen: Object, reason: str, told: str) -> None:
        resource = gen.model_deployment(status={"stable": served(1)})
        found = plan(
            resource,
            child(resource, 1, ready=1),
            child(resource, 2),
            follows=version(2),
            pods=(seen,),
        )

        assert condition(found, "Progressing")["reason"] == reason
        assert told in condition(found, "Progressing")["message"]

    def test_pods_that_the_quota_refuses_are_told(self) -> None:
        resource = gen.model_deployment()
        made = child(resource, 1)
        made["status"]["conditions"] = [
            gen.condition("ReplicaFailure", message="pods is forbidden: exceeded quota")
        ]
        found = plan(resource, made, follows=version(1))

        assert condition(found, "Progressing")["reason"] == "QuotaExceeded"

    def test_time_before_a_pod_had_a_node_is_not_held_against_the_digest(self) -> None:
        resource = gen.model_deployment(status={"stable": served(1)})
        placed = gen.condition("PodScheduled", lastTransitionTime=rfc3339(NOW))
        found = plan(
            resource,
            child(resource, 1, ready=1),
            child(resource, 2, age=3600),
            follows=version(2),
            pods=(pod(2, conditions=[placed]),),
        )

        assert "rejected" not in found.status
        assert found.recheck_after == timedelta(minutes=10)

    def test_pods_that_are_leaving_say_nothing(self) -> None:
        resource = gen.model_deployment()
        leaving = crashing(1, 9)
        leaving["metadata"]["deletionTimestamp"] = gen.CREATED

        found = plan(resource, child(resource, 1), follows=version(1), pods=(leaving,))

        assert condition(found, "Progressing")["reason"] == "Updating"


class TestTheChild:
    def made(self, **spec: Any) -> Object:
        return serving.serving_deployment(
            gen.model_deployment(**spec), Target(2, digest(2)), runtime=RUNTIME, settings=SETTINGS
        )

    def test_it_says_what_it_serves(self) -> None:
        assert serving.served(self.made()) == Target(2, digest(2))

    def test_what_is_no_child_of_ours_serves_nothing_known(self) -> None:
        other = self.made()
        other["spec"]["template"]["spec"]["containers"][0]["env"] = []

        assert serving.served(other) is None

    def test_no_ready_pod_goes_before_another_is_ready(self) -> None:
        strategy = self.made()["spec"]["strategy"]["rollingUpdate"]

        assert strategy == {"maxUnavailable": 0, "maxSurge": 1}

    def test_its_pods_are_restricted_and_hold_no_account_token(self) -> None:
        pod = self.made()["spec"]["template"]["spec"]
        container = pod["containers"][0]

        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}

    def test_a_pod_leaves_the_endpoints_before_it_stops(self) -> None:
        pod = self.made()["spec"]["template"]["spec"]
        sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

        assert pod["terminationGracePeriodSeconds"] > sleep + contract.DRAIN_SECONDS

    def test_resources_and_tolerations_are_those_asked_for(self) -> None:
        resources = {"limits": {"memory": "1Gi"}}
        pod = self.made(resources=resources)["spec"]["template"]["spec"]

        assert pod["containers"][0]["resources"] == resources
        assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]

    def test_the_server_knows_its_digest_and_where_to_fetch_it(self) -> None:
        container = self.made()["spec"]["template"]["spec"]["containers"][0]
        env = {e["name"]: e["value"] for e in container["env"]}

        assert env[contract.MODEL_DIGEST_ENV] == digest(2)
        assert env[contract.MODEL_URL_ENV].endswith(f"/namespaces/team/models/{digest(2)}")

    def test_prometheus_finds_it_and_its_version(self) -> None:
        meta = self.made()["spec"]["template"]["metadata"]

        assert meta["annotations"]["prometheus.io/port"] == "8080"
        assert meta["labels"][names.MODEL_VERSION] == "digits-2"
