"""The status is the operator's alone: a subresource, and none of the users' business."""

from typing import Any

import pytest
from builders import given
from kube_api import Api, Refused
from rows import BUILDERS, body
from trainyard_api.conditions import set_condition
from trainyard_api.contract import OPERATOR_MANAGER
from trainyard_api.kinds import KINDS

READY = [given.condition("Ready", reason="AllStagesHeld")]


@pytest.fixture(params=sorted(BUILDERS))
def created(api: Api, request: pytest.FixtureRequest) -> given.Object:
    """An object of every kind."""
    return api.create(body(request.param, {}))


def test_a_status_written_with_the_spec_is_dropped(api: Api, created: given.Object) -> None:
    changed = api.patch(created, {"status": {"conditions": READY}})

    assert "status" not in changed


def test_a_spec_written_with_the_status_is_dropped(api: Api, created: given.Object) -> None:
    changed = api.patch(
        created, {"spec": {"description": "x"}, "status": {"conditions": READY}}, sub="/status"
    )

    assert changed["spec"] == created["spec"]
    assert changed["status"]["conditions"] == READY
    assert changed["metadata"]["generation"] == created["metadata"]["generation"]


def test_a_status_has_no_defaults(api: Api, created: given.Object) -> None:
    changed = api.patch(created, {"status": {"observedGeneration": 1}}, sub="/status")

    assert changed["status"] == {"observedGeneration": 1}


def test_conditions_are_merged_by_type(api: Api, created: given.Object) -> None:
    def status(*conditions: given.Object) -> given.Object:
        named = {"name": created["metadata"]["name"]}
        head = {"apiVersion": created["apiVersion"], "kind": created["kind"]}
        return head | {"metadata": named, "status": {"conditions": list(conditions)}}

    api.apply(status(READY[0]), manager=OPERATOR_MANAGER, sub="/status")
    other = given.condition("Other", reason="Why")
    merged = api.apply(status(other), manager="other", sub="/status")

    assert [each["type"] for each in merged["status"]["conditions"]] == ["Ready", "Other"]


def test_a_condition_that_is_none_is_refused(api: Api, created: given.Object) -> None:
    broken = {"type": "Ready", "status": "Maybe", "reason": "", "lastTransitionTime": "today"}

    with pytest.raises(Refused) as refused:
        api.patch(created, {"status": {"conditions": [broken]}}, sub="/status")

    assert {f"status.conditions[0].{name}" for name in ("status", "reason", "message")} <= set(
        refused.value.fields
    )


FULL: dict[str, dict[str, Any]] = {
    "Experiment": {
        "runs": {"pending": 1, "running": 2, "succeeded": 3, "failed": 4, "cancelled": 5},
        "experimentID": "7",
    },
    "Run": {
        "phase": "Failed",
        "runID": "0" * 32,
        "experimentID": "7",
        "startTime": given.CREATED,
        "completionTime": given.CREATED,
        "attempts": [
            {
                "number": 1,
                "job": "r-a1",
                "pod": "r-a1-0-x",
                "startTime": given.CREATED,
                "completionTime": given.CREATED,
                "observedStartTime": given.CREATED,
                "observedCompletionTime": given.CREATED,
                "exitCode": 3,
                "reason": "ExitCode",
                "message": "exit code 3",
                "logTail": ["a", "b"],
            }
        ],
        "attemptCount": 1,
        "retries": {"userError": 1, "infrastructure": 2},
        "waitingSince": given.CREATED,
        "metrics": {"val_accuracy": "0.984", "loss": "NaN"},
        "metric": "val_accuracy=0.984",
        "duration": "41s",
        "modelVersion": "digits-1",
        "commit": "a" * 40,
        "imageID": "a@sha256:0",
        "logArtifact": "logs/attempt-1.log",
    },
    "Model": {
        "stages": [
            {
                "name": "production",
                "version": 1,
                "candidate": 2,
                "since": given.CREATED,
                "by": "ann",
                "previous": 3,
                "refusal": {"version": 2, "reason": "BelowThreshold", "message": "0.8 < 0.9"},
            }
        ],
        "aliases": {"production": 1},
        "latestVersion": 3,
        "versions": 3,
        "retired": 4,
        "retiredVersions": [4],
        "unaudited": 1,
        "history": [
            {
                "time": given.CREATED,
                "stage": "production",
                "from": 3,
                "to": 1,
                "by": "ann",
                "reason": "GatesPassed",
            }
        ],
    },
    "ModelVersion": {
        "phase": "Ready",
        "digest": given.DIGEST,
        "size": 1000,
        "flavors": {"sklearn": "1.7.2"},
        "signature": "{}",
        "requirements": ["scikit-learn==1.7.2"],
        "runID": "0" * 32,
        "run": "r",
        "experiment": "digits",
        "metrics": {"val_accuracy": "0.984"},
        "source": "mlflow-artifacts:/1/a/artifacts/model",
        "spentAttempts": 5,
        "retry": 1,
    },
    "Deployment": {
        "phase": "Progressing",
        "stable": {"version": 1, "digest": given.DIGEST},
        "updating": {
            "version": 2,
            "digest": given.DIGEST,
            "started": given.CREATED,
            "since": given.CREATED,
        },
        "replicas": 2,
        "readyReplicas": 1,
        "endpoint": "http://digits.team.svc",
        "rejected": {"digest": given.DIGEST, "reason": "NotServable", "message": "why", "retry": 1},
        "selector": "trainyard.dev/deployment=digits",
    },
}


def test_every_field_of_a_status_is_kept_and_read_back(api: Api, created: given.Object) -> None:
    conditions = set_condition(
        [], "Ready", "True", "Ready", "All is well", generation=1, now=given.NOW
    )
    status = FULL[created["kind"]] | {"observedGeneration": 1, "conditions": conditions}
    changed = api.patch(created, {"status": status}, sub="/status")

    assert changed["status"] == status
    assert KINDS[created["kind"]].model_validate(changed).to_object()["status"] == status


def test_no_field_of_a_status_is_forgotten_here() -> None:
    for name, kind in KINDS.items():
        model = kind.model_fields["status"].annotation
        assert model is not None
        fields = {field.alias for field in model.model_fields.values()}

        assert fields - {"observedGeneration", "conditions"} == set(FULL[name])


def test_a_deployment_scales(api: Api) -> None:
    created = api.create(body("Deployment", {"replicas": 2}))
    status = {"status": {"replicas": 1, "selector": "trainyard.dev/deployment=digits"}}
    api.patch(created, status, sub="/status")
    scale = api.ask("GET", api.path(created) + "/scale")

    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 1, "selector": "trainyard.dev/deployment=digits"}

    api.patch(created, {"spec": {"replicas": 5}}, sub="/scale")

    assert api.get(created)["spec"]["replicas"] == 5


def test_only_deployments_scale(api: Api) -> None:
    created = api.create(body("Run", {}))

    with pytest.raises(Refused) as refused:
        api.ask("GET", api.path(created) + "/scale")

    assert refused.value.code == 404
