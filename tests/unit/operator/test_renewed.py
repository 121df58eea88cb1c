"""After the authority was renewed, what was made before is still cared for by the name it has."""

import dataclasses
from typing import Any

from builders import deployments, given, versions
from builders.registry import NOW
from builders.stage import SETTINGS, Process, Stage, waiting
from trainyard_operator.deployments import children
from trainyard_operator.deployments import plan as deployment
from trainyard_operator.deployments.following import Followed
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.trimming import trim
from trainyard_operator.settings import Settings
from trainyard_operator.versions import plan as publishing


def by(settings: Settings, authority: str) -> Settings:
    return dataclasses.replace(settings, tracking_ca=authority)


def operator(stage: Stage, authority: str) -> Process:
    process = stage.process()
    process.reconciler.settings = by(SETTINGS, authority)
    return process


def secrets(stage: Stage) -> list[str]:
    return [each["metadata"]["name"] for each in stage.kube.find("Secret")]


def placed(stage: Stage) -> Object:
    """Have a node take the pod: an attempt that none has taken would be made anew."""
    (pod,) = stage.kube.find("Pod")
    stage.kube.put({**pod, "spec": {**pod["spec"], "nodeName": "n"}})
    (pod,) = stage.kube.find("Pod")
    return pod


async def test_the_token_of_a_run_goes_at_clean_up() -> None:
    stage = Stage()
    stage.add(given.run(ttlSecondsAfterFinished=3))
    await operator(stage, "old").look()
    assert len(secrets(stage)) == 1
    stage.cluster.step()
    placed(stage)

    await stage.play(operator(stage, "new"), rounds=40)

    assert stage.kube.find("Job") == []
    assert secrets(stage) == []


async def test_the_lost_token_of_a_run_is_made_again_by_the_name_that_its_pod_mounts() -> None:
    stage = Stage()
    stage.add(given.run())
    await operator(stage, "old").look()
    (secret,) = stage.kube.find("Secret")
    name = secret["metadata"]["name"]
    stage.cluster.step()
    stage.kube.remove(secret)
    pod = placed(stage)
    state = waiting("CreateContainerConfigError", f'secret "{name}" not found')
    stage.kube.put({**pod, "status": {"containerStatuses": [given.container_status(**state)]}})
    stage.clock.pass_by(600)
    await operator(stage, "new").look()

    (again,) = stage.kube.find("Secret")
    assert again["metadata"]["name"] == name
    assert again["stringData"]["ca.crt"] == "new"


def starting(pod: Object, container: str) -> Object:
    """Return a pod that waits on its node for longer than volumes take, as the cache holds it."""
    placed = given.condition("PodScheduled", lastTransitionTime="2026-11-24T11:00:00Z")
    waits = given.container_status(container, waiting={"reason": "ContainerCreating"})
    told = {"phase": "Pending", "conditions": [placed], "containerStatuses": [waits]}
    return trim("pods", {**pod, "status": told})


def publish(resource: Object, authority: str, *seen: tuple[Object, Object]) -> Any:
    held = versions.observed(*seen)
    settings = by(versions.SETTINGS, authority)
    return publishing.plan(resource, held, now=NOW, settings=settings).create


def test_the_lost_token_of_a_publishing_job_is_made_again() -> None:
    resource = versions.version()
    secret, job = publish(resource, "old")
    trimmed, pod = versions.attempt(resource)
    pod["spec"] = job["spec"]["template"]["spec"]

    (again,) = publish(resource, "new", (trimmed, starting(pod, "publish")))

    assert again["metadata"]["name"] == secret["metadata"]["name"]
    assert again["stringData"]["ca.crt"] == "new"


def serve(resource: Object, number: int, *held: Object, pods: tuple[Object, ...] = ()) -> Any:
    follows = deployments.version(number)
    model = deployments.model(production=number)
    seen = deployment.Observed(Followed(model, number, follows), held, pods)
    settings = by(deployments.SETTINGS, "new")
    return deployment.plan(resource, seen, now=NOW, settings=settings)


def old_child(resource: Object) -> tuple[Object, str]:
    """Return a ready child of the first version, made before, and its Secret's name."""
    settings = by(deployments.SETTINGS, "old")
    child = deployments.child(resource, 1, ready=1)
    secret = children.serving_secret(resource, deployments.digest(1), settings=settings)
    name = secret["metadata"]["name"]
    volumes = child["spec"]["template"]["spec"]["volumes"]
    (volume,) = (each for each in volumes if "secret" in each)
    volume["secret"]["secretName"] = name
    return child, name


def test_the_token_of_a_child_goes_with_it() -> None:
    resource = given.model_deployment(status={"stable": deployments.served(1)})
    child, name = old_child(resource)
    told = serve(resource, 2, child, deployments.child(resource, 2, ready=1))

    assert [each.name for each in told.delete] == [name, child["metadata"]["name"]]


def test_the_lost_token_of_a_child_that_waits_for_its_turn_is_made_again() -> None:
    resource = given.model_deployment(status={"stable": deployments.served(1)})
    child, name = old_child(resource)
    pod = {**deployments.pod(1), "spec": child["spec"]["template"]["spec"]}
    told = serve(resource, 1, child, pods=(starting(pod, "server"),))

    assert name in [each["metadata"]["name"] for each in told.create]
