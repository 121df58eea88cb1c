import json
from typing import Any

import pytest
from builders import given
from builders.registry import NOW
from trainyard_api.model import ModelStatus
from trainyard_api.schema import bounded
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.models import plan as kind
from trainyard_operator.models.effects import Audit, SetAlias
from trainyard_operator.names import PROMOTER
from trainyard_operator.settings import Settings

REQUIRES = {"metric": "val_accuracy", "goal": "maximize", "threshold": 0.915}


def owned(manager: str, *aliases: str, time: str = "2026-11-24T11:59:59Z") -> Object:
    fields = {f"f:{alias}": {} for alias in aliases}
    return {
        "manager": manager,
        "operation": "Apply",
        "time": time,
        "fieldsV1": {"f:spec": {"f:aliases": fields}},
    }


def model(
    *stages: Object, status: Object | None = None, managers: tuple[Object, ...] = (), **spec: Any
) -> Object:
    metadata = {"managedFields": list(managers), "generation": 4}
    return given.model(metadata=metadata, status=status or {}, stages=list(stages), **spec)


def version(number: int, *, deleting: bool = False, **status: Any) -> Object:
    metadata = {"deletionTimestamp": given.CREATED} if deleting else {}
    return given.model_version(
        version=number, metadata=metadata, status=given.published(number, **status)
    )


def plan(resource: Object, *versions: Object) -> Plan:
    return kind.plan(resource, kind.Observed(versions), now=NOW, settings=Settings())


def ready(told: Plan) -> Object:
    (condition,) = [c for c in told.status["conditions"] if c["type"] == "Ready"]
    return condition


def test_a_move_is_status_audit_line_and_event() -> None:
    told = plan(
        model(
            given.stage("production", "approval", REQUIRES),
            aliases={"production": 2},
            promoters={"production": "ann@example.org"},
            managers=(owned("kubectl", "production"),),
        ),
        version(1),
        version(2),
    )

    (stage,) = told.status["stages"]
    assert stage == {
        "name": "production",
        "version": 2,
        "since": "2026-11-24T12:00:00Z",
        "by": "ann@example.org",
    }
    assert told.status["aliases"] == {"production": 2}
    assert told.status["history"][0]["to"] == 2
    assert told.effects == ()
    assert told.status["unaudited"] == 1
    assert [e.reason for e in told.events] == ["Moved"]
    assert ready(told)["reason"] == "AllStagesHeld"


def test_a_move_that_holds_is_then_put_on_the_audit_trail() -> None:
    resource = model(given.stage("production"), aliases={"production": 1})
    moved = {**resource, "status": plan(resource, version(1)).status}
    told, again = plan(moved, version(1)), plan(moved, version(1))

    (line,) = told.effects
    assert isinstance(line, Audit)
    assert (line.line["to"], line.line["time"]) == (1, "2026-11-24T12:00:00Z")
    assert told.effects == again.effects
    assert "unaudited" not in told.status
    assert plan({**moved, "status": told.status}, version(1)).effects == ()


def test_the_trail_being_away_holds_up_no_promotion() -> None:
    resource = model(given.stage("production"), aliases={"production": 1})
    first = plan(resource, version(1)).status
    wanted = model(given.stage("production"), aliases={"production": 2})
    moved = plan({**wanted, "status": first}, version(1), version(2))

    assert moved.status["aliases"] == {"production": 2}
    assert moved.status["unaudited"] == 2
    paid = plan({**wanted, "status": moved.status}, version(1), version(2))
    assert [e.line["to"] for e in paid.effects if isinstance(e, Audit)] == [1, 2]


def test_a_trail_that_failed_for_a_while_is_told_as_whole_again() -> None:
    resource = model(given.stage("production"), aliases={"production": 1})
    status = plan(resource, version(1)).status
    failed = [*status["conditions"], given.condition("Audited", "False", "TrackingUnavailable")]
    told = plan({**resource, "status": {**status, "conditions": failed}}, version(1))

    (audited,) = [c for c in told.status["conditions"] if c["type"] == "Audited"]
    assert audited["status"] == "True"


def test_a_decided_model_is_not_decided_again() -> None:
    resource = model(given.stage("production"), aliases={"production": 1})
    told = plan(resource, version(1))
    paid = plan({**resource, "status": told.status}, version(1))

    again = plan({**resource, "status": paid.status}, version(1))

    assert again == Plan(status=paid.status)


def test_a_refusal_is_in_the_stage_the_condition_and_one_event() -> None:
    resource = model(given.stage("production", "approval", REQUIRES), aliases={"production": 1})
    told = plan(resource, version(1))

    refusal = told.status["stages"][0]["refusal"]
    assert (refusal["version"], refusal["reason"]) == (1, "BelowThreshold")
    assert "0.91" in refusal["message"]
    assert ready(told)["reason"] == "GateRefused"
    assert [e.type for e in told.events] == ["Warning"]
    assert plan({**resource, "status": told.status}, version(1)).events == ()


@pytest.mark.parametrize(
    ("number", "reason"),
    [(3, "VersionMissing"), (2, "VersionNotPublished"), (4, "VersionRejected")],
)
def test_a_pointer_to_what_cannot_be_held_says_which(number: int, reason: str) -> None:
    told = plan(
        model(given.stage("production"), aliases={"production": number}),
        version(2, phase="Publishing"),
        version(4, phase="Rejected"),
    )

    assert ready(told)["reason"] == reason
    assert told.status["aliases"] == {}


def test_an_automatic_stage_has_its_alias_written_by_the_promoter() -> None:
    resource = model(given.stage("staging", "automatic", REQUIRES))
    told = plan(resource, version(1), version(2))

    uid = resource["metadata"]["uid"]
    assert told.effects == (SetAlias("team", "digits", uid, {"staging": 2}),)
    assert told.status["aliases"] == {}


def test_the_promoter_repeats_the_aliases_that_it_keeps() -> None:
    told = plan(
        model(
            given.stage("canary", "automatic"),
            given.stage("staging", "automatic", REQUIRES),
            aliases={"canary": 2, "production": 1},
            managers=(owned(PROMOTER, "canary"), owned("kubectl", "production")),
        ),
        version(1),
        version(2),
    )

    (write,) = [e for e in told.effects if isinstance(e, SetAlias)]
    assert write.aliases == {"canary": 2, "staging": 2}


def test_a_pin_is_a_condition_that_names_the_owner_and_the_way_back() -> None:
    told = plan(
        model(
            given.stage("staging", "automatic", REQUIRES),
            aliases={"staging": 1},
            managers=(owned(PROMOTER, "staging"), owned("kubectl-edit", "staging")),
            status={"stages": [{"name": "staging", "version": 1}]},
        ),
        version(1),
        version(2),
    )

    assert [e for e in told.effects if isinstance(e, SetAlias)] == []
    condition = ready(told)
    assert condition["reason"] == "AliasOwnedElsewhere"
    assert "kubectl-edit" in condition["message"]
    patch = condition["message"].partition("-p '")[2].rstrip("'")
    assert json.loads(patch)[0]["path"] == "/spec/aliases/staging"


def test_a_candidate_that_automatic_promotion_passed_over_is_told_but_nothing_is_wrong() -> None:
    told = plan(model(given.stage("staging", "automatic", REQUIRES)), version(1))

    assert told.status["stages"][0]["refusal"]["reason"] == "BelowThreshold"
    assert told.status["stages"][0]["candidate"] == 1
    assert ready(told)["status"] == "True"
    assert "0.91" in ready(told)["message"]


class TestDeletion:
    def test_a_deleted_version_is_retired(self) -> None:
        told = plan(model(), version(1), version(2, deleting=True))

        assert told.status["retired"] == 2
        assert told.status["retiredVersions"] == [2]

    def test_one_that_an_alias_holds_stays_and_the_condition_says_so(self) -> None:
        told = plan(
            model(aliases={"champion": 2}, status={"aliases": {"champion": 2}}),
            version(1),
            version(2, deleting=True),
        )

        assert told.status["retiredVersions"] == []
        assert ready(told)["reason"] == "VersionDeleting"
        assert "spec.aliases.champion" in ready(told)["message"]

    def test_moving_the_alias_lets_it_go(self) -> None:
        told = plan(
            model(aliases={"champion": 1}, status={"aliases": {"champion": 2}}),
            version(1),
            version(2, deleting=True),
        )

        assert told.status["retiredVersions"] == [2]

    def test_pointers_of_a_model_being_deleted_are_left_alone(self) -> None:
        resource = model(aliases={"champion": 1})
        resource["metadata"]["deletionTimestamp"] = given.CREATED

        told = plan(resource, version(1))

        assert (told.status, told.effects) == ({}, ())

    def test_numbers_are_counted(self) -> None:
        told = plan(model(), version(1), version(3))

        assert (told.status["versions"], told.status["latestVersion"]) == (2, 3)


def test_all_that_can_be_held_fits_the_status() -> None:
    held = {f"s{n}": 1 for n in range(16)}
    resource = model(
        *(given.stage(name, "automatic") for name in held),
        aliases={f"a{n}": 1 for n in range(256)},
        status={"aliases": held},
    )
    told = plan(resource, version(1)).status["aliases"]

    (bound,) = ModelStatus.model_fields["aliases"].metadata
    assert bound == bounded(most=len(told))
