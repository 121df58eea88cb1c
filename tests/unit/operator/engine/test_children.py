"""Children beside what users have: nothing of theirs is changed or deleted, ours come back."""

from typing import Any

import pytest
from builders import given
from builders.deployments import SETTINGS, digest, model, version
from builders.stage import Process, Stage, waiting
from fakes import FakeKube
from trainyard_operator import names
from trainyard_operator.deployments.kind import KIND as DEPLOYMENT
from trainyard_operator.engine.errors import Conflict, NameTaken
from trainyard_operator.engine.kube import Kube
from trainyard_operator.engine.plan import Object, Ref
from trainyard_operator.names import MODEL_DEPLOYMENTS


def serving() -> tuple[Stage, Process]:
    stage = Stage()
    for each in (model(production=1), version(1), given.model_deployment()):
        stage.kube.put(each)
    process = Process(stage.kube, stage.tracking, {MODEL_DEPLOYMENTS: DEPLOYMENT})
    process.reconciler.settings = SETTINGS
    return stage, process


def progress(kube: FakeKube) -> Object:
    told = kube.find("Deployment")
    (ours,) = (each for each in told if each["apiVersion"] != "apps/v1")
    return next(c for c in ours["status"]["conditions"] if c["type"] == "Progressing")


async def test_a_users_secret_is_neither_changed_nor_deleted() -> None:
    stage = Stage()
    theirs = stage.kube.put(given.thing("v1", "Secret", "r-token"))
    stage.add(given.run(ttlSecondsAfterFinished=3))
    await stage.play(stage.process(), rounds=40)

    assert stage.kube.find("Job") == []
    assert stage.kube.find("Secret") == [theirs]


async def test_a_run_token_that_somebody_deleted_is_written_again() -> None:
    stage = Stage()
    stage.add(given.run())
    process = stage.process()
    await process.look()
    (secret,) = stage.kube.find("Secret")
    stage.cluster.step()
    stage.kube.remove(secret)
    (pod,) = stage.kube.find("Pod")
    gone = f'secret "{secret["metadata"]["name"]}" not found'
    state = waiting("CreateContainerConfigError", gone)
    stage.kube.put({**pod, "status": {"containerStatuses": [given.container_status(**state)]}})
    stage.clock.pass_by(600)
    await process.look()

    assert [each["metadata"]["name"] for each in stage.kube.find("Secret")] == [
        secret["metadata"]["name"]
    ]


async def test_a_budget_that_somebody_deleted_is_written_again() -> None:
    stage, process = serving()
    theirs = stage.kube.put(given.thing("policy/v1", "PodDisruptionBudget", "digits"))
    await process.look()
    (ours,) = (b for b in stage.kube.find("PodDisruptionBudget") if b is not theirs)
    stage.kube.remove(ours)
    await process.look()

    found = [each["metadata"]["name"] for each in stage.kube.find("PodDisruptionBudget")]
    assert found == ["digits", ours["metadata"]["name"]]


class Api(Kube):
    """Answers from a list of what there is; keeps what was asked."""

    def __init__(self, *there: Object) -> None:
        self.there = {each["metadata"]["name"]: each for each in there}
        self.asked: list[tuple[str, Any]] = []
        self.on_written = lambda _written, **_: None

    async def _call(self, method: str, path: str, body: Any = None, *_: Any, **__: Any) -> Object:
        self.asked.append((method, body))
        if method in {"POST", "PATCH"}:
            raise Conflict("AlreadyExists", "the server's own words")
        return self.there[path.rpartition("/")[2]]


def owned(by: Object) -> Object:
    return given.thing("v1", "Secret", "s", metadata={"ownerReferences": [given.owner(by)]})


@pytest.mark.parametrize("verb", ["create", "claim"])
@pytest.mark.parametrize(
    ("holder", "said"),
    [
        (given.thing("v1", "Secret", "s"), "belongs to nobody"),
        (owned(given.model()), "belongs to Model digits"),
        (owned(given.run(metadata={"uid": "other"})), "an earlier Run r"),
    ],
)
async def test_a_name_that_is_taken_says_by_whom(verb: str, holder: Object, said: str) -> None:
    with pytest.raises(NameTaken, match=said) as caught:
        await getattr(Api(holder), verb)(owned(given.run()))

    assert caught.value.reason == "SecretNameTaken"
    assert caught.value.after is None


async def test_what_is_ours_already_is_as_good_as_made() -> None:
    held = owned(given.run())

    assert await Api(held).create(owned(given.run())) == held


async def test_a_delete_hits_only_what_the_owner_controls_and_by_its_uid() -> None:
    ref = Ref.of_child(owned(given.run()))
    ours, theirs = Api(owned(given.run())), Api(owned(given.model()))
    await ours.delete(ref)
    await theirs.delete(ref)

    method, options = ours.asked[-1]
    assert (method, options["preconditions"]) == ("DELETE", {"uid": given.uid("Secret", "s")})
    assert [method for method, _ in theirs.asked] == ["GET"]


async def test_a_delete_by_name_alone_is_a_bug() -> None:
    with pytest.raises(ValueError, match="needs a UID"):
        await Api().delete(Ref("v1", "Secret", "team", "s"))


async def test_a_users_own_apps_deployment_is_not_taken_over() -> None:
    stage, process = serving()
    name = names.serving_child("digits", digest(1))
    theirs = stage.kube.put(given.thing("apps/v1", "Deployment", name, spec={"replicas": 3}))
    await process.look()

    assert progress(stage.kube)["reason"] == "DeploymentNameTaken"
    assert theirs in stage.kube.find("Deployment")
