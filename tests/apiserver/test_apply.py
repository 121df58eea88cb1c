"""Who owns what: appliers of single stages and aliases, and the promoter among them."""

import json

import pytest
from builders import given
from kube_api import Api, Refused, clean
from kube_apiserver import Server
from trainyard_api.contract import PROMOTER_MANAGER

GIT = "git-sync"


def model(**spec: object) -> given.Object:
    return clean(given.model()) | {"spec": spec}


def test_two_appliers_own_a_stage_each(api: Api) -> None:
    api.apply(model(stages=[given.stage("staging")]), manager="ann")
    merged = api.apply(model(stages=[given.stage("production")]), manager="bob")

    assert [stage["name"] for stage in merged["spec"]["stages"]] == ["staging", "production"]

    left = api.apply(model(stages=[]), manager="ann")

    assert [stage["name"] for stage in left["spec"]["stages"]] == ["production"]


def test_apply_with_a_uid_makes_nothing_and_takes_no_namesake(api: Api) -> None:
    held = api.apply(model(), manager="ann")
    api.delete(held)
    meant = model(aliases={"staging": 1})
    meant["metadata"]["uid"] = held["metadata"]["uid"]

    with pytest.raises(Refused) as missing:
        api.apply(meant, manager=PROMOTER_MANAGER)
    api.apply(model(), manager="ann")
    with pytest.raises(Refused) as another:
        api.apply(meant, manager=PROMOTER_MANAGER)

    assert (missing.value.code, another.value.code) == (409, 422)


def test_two_appliers_own_an_alias_each(api: Api) -> None:
    api.apply(model(aliases={"staging": 1}), manager="ann")
    merged = api.apply(model(aliases={"champion": 2}), manager="bob")

    assert merged["spec"]["aliases"] == {"staging": 1, "champion": 2}

    left = api.apply(model(), manager="ann")

    assert left["spec"]["aliases"] == {"champion": 2}


def test_the_promoter_moves_its_own_alias(api: Api) -> None:
    api.apply(model(stages=[given.stage("staging", "automatic")]), manager=GIT)
    api.apply(model(aliases={"staging": 1}), manager=PROMOTER_MANAGER)
    moved = api.apply(model(aliases={"staging": 2}), manager=PROMOTER_MANAGER)

    assert moved["spec"]["aliases"] == {"staging": 2}
    assert [stage["name"] for stage in moved["spec"]["stages"]] == ["staging"]


def test_an_alias_that_git_owns_is_refused_to_the_promoter_and_names_the_owner(api: Api) -> None:
    api.apply(model(aliases={"staging": 1}), manager=GIT)

    with pytest.raises(Refused) as refused:
        api.apply(model(aliases={"staging": 2}), manager=PROMOTER_MANAGER)

    assert refused.value.code == 409
    assert GIT in refused.value.message
    assert refused.value.fields == [".spec.aliases.staging"]


def test_a_pin_by_patch_holds_until_its_owner_takes_it_away(api: Api) -> None:
    created = api.apply(model(aliases={"staging": 2}), manager=PROMOTER_MANAGER)
    api.patch(created, {"spec": {"aliases": {"staging": 1}}})

    with pytest.raises(Refused) as refused:
        api.apply(model(aliases={"staging": 3}), manager=PROMOTER_MANAGER)

    assert refused.value.code == 409

    api.patch(created, {"spec": {"aliases": {"staging": None}}})
    moved = api.apply(model(aliases={"staging": 3}), manager=PROMOTER_MANAGER)

    assert moved["spec"]["aliases"] == {"staging": 3}


def test_the_old_value_is_tested_when_a_client_moves_an_alias(api: Api) -> None:
    created = api.create(model(aliases={"champion": 1}))
    steps = (
        {"op": "test", "path": "/spec/aliases/champion", "value": 1},
        {"op": "replace", "path": "/spec/aliases/champion", "value": 2},
    )
    moved = api.move(created, *steps)

    assert moved["spec"]["aliases"] == {"champion": 2}

    with pytest.raises(Refused) as refused:
        api.move(created, *steps)

    assert refused.value.code == 422


def test_kubectl_apply_of_a_manifest_without_aliases_leaves_them_alone(
    api: Api, server: Server
) -> None:
    manifest = json.dumps(model(stages=[given.stage("staging", "automatic")]))
    apply = ("-n", api.namespace, "apply", "-f", "-")
    assert server.kubectl(*apply, stdin=manifest).returncode == 0
    api.apply(model(aliases={"staging": 4}), manager=PROMOTER_MANAGER)
    again = server.kubectl(*apply, stdin=manifest)

    assert again.returncode == 0, again.stderr
    assert api.get(model())["spec"]["aliases"] == {"staging": 4}
