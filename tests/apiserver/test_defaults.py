"""What the API server fills in, so that no part has to guess."""

from builders import given
from kube_api import Api, clean


def bare(body: given.Object, **spec: object) -> given.Object:
    return clean(body) | {"spec": spec}


def test_a_run_gets_its_experiment_its_retries_and_its_switches(api: Api) -> None:
    created = api.create(bare(given.run(), command=["python"], image="x"))

    assert created["spec"] == {
        "experiment": "Default",
        "command": ["python"],
        "image": "x",
        "retry": {"userError": 0, "infrastructure": 3},
        "suspend": False,
        "cancel": False,
    }


def test_half_a_retry_is_completed(api: Api) -> None:
    body = bare(given.run(), command=["python"], image="x", retry={"userError": 2})

    assert api.create(body)["spec"]["retry"] == {"userError": 2, "infrastructure": 3}


def test_a_deployment_gets_a_replica_a_runtime_and_a_rolling_rollout(api: Api) -> None:
    created = api.create(bare(given.model_deployment(), model={"name": "digits", "version": 1}))

    assert created["spec"] == {
        "model": {"name": "digits", "version": 1},
        "replicas": 1,
        "runtime": "sklearn",
        "rollout": {"rolling": {}},
        "batching": True,
    }


def test_a_stage_needs_approval_unless_it_says_otherwise(api: Api) -> None:
    created = api.create(bare(given.model(), stages=[{"name": "production"}]))

    assert created["spec"]["stages"] == [{"name": "production", "promotion": "approval"}]


def test_models_and_experiments_need_no_spec(api: Api) -> None:
    for body in (given.model(), given.experiment()):
        metadata = {"name": "bare"}
        created = api.create(
            {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": metadata}
        )

        assert created["spec"] == {}
