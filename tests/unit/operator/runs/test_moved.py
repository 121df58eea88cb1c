"""A Job that waits while the tracking service gets another address or authority."""

import dataclasses

import pytest
from builders import given, stage
from builders.run_plans import LATER, attempt, finished
from builders.stage import RUNNING, SETTINGS, attempt_job, attempt_pod, decide
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.engine.trimming import trim
from trainyard_operator.runs.job import run_job
from trainyard_operator.settings import Settings

HTTPS = "https://tracking:5000"
TLS = dataclasses.replace(SETTINGS, tracking_url=HTTPS, tracking_ca="-----BEGIN CERTIFICATE-----")
RENEWED = dataclasses.replace(TLS, tracking_ca="-----BEGIN CERTIFICATE-----2")


def waiting_job(run: Object, made_by: Settings, *, suspended: bool = True) -> Object:
    job = attempt_job(run)
    job["spec"] |= run_job(run, 1, settings=made_by)["spec"] | {"suspend": suspended}
    return job


def under(patch: pytest.MonkeyPatch, settings: Settings, run: Object, **seen: Object) -> Plan:
    patch.setattr(stage, "SETTINGS", settings)
    return decide(run, **{what: trim(f"{what}s", each) for what, each in seen.items()})


def is_decided(plan: Plan) -> bool:
    return [each.get("reason") for each in plan.status.get("attempts", ())] == ["TrackingMoved"]


@pytest.mark.parametrize(
    ("before", "after"), [(SETTINGS, TLS), (TLS, SETTINGS), (TLS, RENEWED)], ids=["on", "off", "ca"]
)
def test_a_job_that_a_queue_holds_is_made_anew_and_counts_for_no_retry(
    monkeypatch: pytest.MonkeyPatch, before: Settings, after: Settings
) -> None:
    run = given.run()
    job = waiting_job(run, before)
    noted = under(monkeypatch, after, run, job=job)
    run = given.run(status=noted.status, retry={"infrastructure": 0})
    told = under(monkeypatch, after, run, job=job)
    run = given.run(status=told.status, retry={"infrastructure": 0})
    anew = decide(run, after=LATER)

    assert is_decided(noted)
    assert not noted.delete
    assert [each.name for each in told.delete] == ["r-a1"]
    assert told.status["phase"] == "Retrying"
    assert not any(told.status["retries"].values())
    assert [each["metadata"]["name"] for each in anew.create][-1] == "r-a2"
    assert anew.create[-1]["spec"] == run_job(run, 2, settings=after)["spec"]


def test_a_pod_that_no_node_has_taken_is_made_anew_and_one_that_a_node_has_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = given.run()
    job = waiting_job(run, SETTINGS, suspended=False)
    waiting = attempt_pod(run)
    waiting["spec"].pop("nodeName", None)
    taken = attempt_pod(run)
    taken["spec"]["nodeName"] = "n"

    assert is_decided(under(monkeypatch, TLS, run, job=job, pod=waiting))
    assert not is_decided(under(monkeypatch, TLS, run, job=job, pod=taken))


def test_a_program_that_runs_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    run = given.run()
    job = waiting_job(run, SETTINGS, suspended=False)
    pod = attempt_pod(run, state=RUNNING, phase="Running")
    told = under(monkeypatch, TLS, run, job=job, pod=pod)

    assert finished(told)["reason"] == "Running"


def test_a_job_whose_pod_no_watch_has_shown_yet_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    run = given.run()
    job = waiting_job(run, SETTINGS, suspended=False) | {"status": {"active": 1}}

    assert not is_decided(under(monkeypatch, TLS, run, job=job))


def test_what_nothing_has_changed_for_waits_on(monkeypatch: pytest.MonkeyPatch) -> None:
    run = given.run()
    earlier = waiting_job(run, SETTINGS)
    main = earlier["spec"]["template"]["spec"]["containers"][0]
    (token,) = (each for each in main["env"] if each["name"] == "MLFLOW_TRACKING_TOKEN")
    # As Secrets were called before they were named after what is in them.
    token["valueFrom"] = {"secretKeyRef": {"name": "r-token", "key": "token"}}

    assert not is_decided(under(monkeypatch, SETTINGS, run, job=earlier))
    assert not is_decided(under(monkeypatch, TLS, run, job=waiting_job(run, TLS)))


def test_what_puts_the_old_address_into_each_job_does_not_make_it_anew_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = "2026-11-24T12:00:00Z"
    past = [attempt(n, completionTime=at, reason="TrackingMoved") for n in (1, 2, 3)]
    run = given.run(status={"phase": "Retrying", "attempts": past, "attemptCount": 3})

    told = under(monkeypatch, TLS, run, job=waiting_job(run, SETTINGS))

    assert finished(told)["reason"] == "JobSuspended"
