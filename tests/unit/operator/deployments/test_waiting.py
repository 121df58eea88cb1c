"""A Deployment with nothing new to serve: it says why, and what is served stays."""

from typing import Any

import pytest
from builders import given
from builders.deployments import SETTINGS, applied, child, condition, model, plan, served, version
from builders.registry import NOW
from trainyard_operator.deployments import plan as kind
from trainyard_operator.deployments.following import Followed
from trainyard_operator.engine.errors import NameTaken


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
                    "model_": given.model(
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
                {"follows": given.model_version(version=3)},
                "VersionNotPublished",
                "version 3",
                id="a version on its way",
            ),
        ],
    )
    def test_says_why_and_what_is_served_stays(
        self, seen: dict[str, Any], reason: str, told: str
    ) -> None:
        resource = given.model_deployment(status={"stable": served(1)})
        found = plan(resource, child(resource, 1, ready=1), **seen)

        assert condition(found, "Progressing")["reason"] == reason
        assert told in condition(found, "Progressing")["message"]
        assert applied(found, "Deployment") == ["digits-11111111"]
        assert condition(found, "Available")["status"] == "True"

    def test_a_missing_model_is_told(self) -> None:
        seen = kind.Observed(Followed())
        told = kind.plan(given.model_deployment(), seen, now=NOW, settings=SETTINGS)

        assert condition(told, "Progressing")["reason"] == "ModelMissing"

    @pytest.mark.parametrize("runtime", ["nowhere", "train"])
    def test_a_runtime_that_cannot_serve_is_told_with_those_that_can(self, runtime: str) -> None:
        told = plan(given.model_deployment(runtime=runtime), follows=version(1))

        assert condition(told, "Progressing")["reason"] == "RuntimeMissing"
        assert "sklearn" in condition(told, "Progressing")["message"]
        assert applied(told, "Deployment") == []

    def test_a_service_of_somebody_else_is_not_taken_over(self) -> None:
        with pytest.raises(NameTaken) as caught:
            plan(
                given.model_deployment(),
                follows=version(1),
                service=given.thing("v1", "Service", "digits"),
            )

        assert caught.value.reason == "NameTaken"

    def test_its_own_service_is_kept_as_described(self) -> None:
        resource = given.model_deployment()
        own = given.thing(
            "v1", "Service", "digits", metadata={"ownerReferences": [given.owner(resource)]}
        )
        told = plan(resource, follows=version(1), service=own)

        assert applied(told, "Service") == ["digits"]
        assert [o["kind"] for o in told.create] == ["Secret"]


class TestServable:
    def test_a_mismatch_is_a_condition_with_the_fix_and_no_pod(self) -> None:
        other = version(2, requirements=["scikit-learn==1.6.1"])
        resource = given.model_deployment(status={"stable": served(1)})
        told = plan(resource, child(resource, 1, ready=1), follows=other)

        assert applied(told, "Deployment") == ["digits-11111111"]
        assert condition(told, "Servable")["reason"] == "VersionMismatch"
        assert "scikit-learn==1.7.2" in condition(told, "Servable")["message"]
        assert condition(told, "Progressing")["reason"] == "NotServable"
        assert told.status["phase"] == "Degraded"
