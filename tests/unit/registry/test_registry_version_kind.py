import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import gen
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from gen_registry import NOW
from trainyard_operator.calls import HoldVersion, ReleaseFinalizer
from trainyard_operator.conditions import rfc3339
from trainyard_operator.errors import NotFound, Retry
from trainyard_operator.kinds import model_version as kind
from trainyard_operator.objects.publishing import publishing_job
from trainyard_operator.plan import Object, Plan
from trainyard_operator.policies import publishing
from trainyard_operator.policies.published import judge, read_result
from trainyard_operator.settings import Runtime, Settings

KEY = (
    Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
PACKAGES = {"scikit-learn": "1.7.2", "mlflow-skinny": "3.17.2"}
SETTINGS = Settings(
    signing_key=KEY,
    runtimes={"sklearn": Runtime("sklearn", serving_image="serving:1", packages=PACKAGES)},
)
RESULT = {
    "digest": gen.DIGEST,
    "size": 1200,
    "flavors": {"sklearn": "1.7.2", "python_function": "3.13.5"},
    "signature": {"inputs": [{"type": "tensor"}]},
    "requirements": ["scikit-learn==1.7.2"],
}
FETCHED = {"size": 1200, "uri": "mlflow-artifacts:/1/models/m-1", "runID": "ab" * 16}
FINISHED_RUN = gen.run(status={"conditions": [gen.condition("Finished")]})
MODEL = gen.model(spec={})


def version(number: int = 1, **more: Any) -> Object:
    metadata = {"ownerReferences": [gen.owner(MODEL)], **more.pop("metadata", {})}
    return gen.model_version(version=number, metadata=metadata, **more)


def ended(name: str, code: int = 0, message: object = None, ago: float = 60) -> Object:
    text = message if isinstance(message, str) else json.dumps(message or {})
    finished = rfc3339(NOW - timedelta(seconds=ago))
    terminated = {"exitCode": code, "message": text, "finishedAt": finished}
    return gen.container_status(name, terminated=terminated)


def attempt(
    of: Object,
    number: int = 1,
    *,
    init: Sequence[Object] = (),
    main: Sequence[Object] = (),
    **job: Any,
) -> tuple[Object, Object]:
    labels = {"trainyard.dev/attempt": str(number)}
    made = gen.job(f"digits-1-publish-{number}", of=of, metadata={"labels": labels}, **job)
    pod = gen.pod(
        f"p{number}",
        of=made,
        initContainerStatuses=list(init),
        containerStatuses=list(main),
    )
    return made, pod


def observed(*attempts: tuple[Object, Object], **more: Any) -> kind.Observed:
    return kind.Observed(
        **{
            "model": MODEL,
            "run": FINISHED_RUN,
            "jobs": tuple(job for job, _ in attempts),
            "pods": tuple(pod for _, pod in attempts),
            **more,
        }
    )


def plan(resource: Object, seen: kind.Observed, *, now: datetime = NOW) -> Plan:
    return kind.plan(resource, seen, now=now, settings=SETTINGS)


def condition(told: Plan, type_: str = "Published") -> Object:
    (found,) = [c for c in told.status["conditions"] if c["type"] == type_]
    return found


class TestPublishing:
    def test_it_starts_with_a_token_and_a_job_that_the_version_owns(self) -> None:
        resource = version()
        told = plan(resource, observed())

        (secret,), (job,) = told.apply, told.create
        assert secret["metadata"]["name"] == "digits-1-token"
        assert job["metadata"]["name"] == "digits-1-publish"
        assert job["metadata"]["ownerReferences"][0]["uid"] == resource["metadata"]["uid"]
        assert told.status["phase"] == "Publishing"
        assert told.effects == ()

    def test_while_the_job_runs_nothing_is_made(self) -> None:
        resource = version()
        told = plan(resource, observed(attempt(resource)))

        assert (told.apply, told.create) == ((), ())
        assert condition(told)["reason"] == "Publishing"

    def test_what_the_pod_waits_for_is_told(self) -> None:
        resource = version()
        waiting = gen.container_status("fetch", waiting={"reason": "ErrImagePull", "message": "no"})
        told = plan(resource, observed(attempt(resource, init=[waiting])))

        assert "ErrImagePull" in condition(told)["message"]

    def test_the_result_becomes_the_status(self) -> None:
        resource = version()
        done = attempt(resource, init=[ended("fetch", message=FETCHED)],
                       main=[ended("publish", message=RESULT)])  # fmt: skip
        summary = {
            "metrics": {"val_accuracy": "0.98"},
            "experiment": "digits",
            "status": "FINISHED",
        }

        told = plan(resource, observed(done, summary=summary))

        status = told.status
        assert status["phase"] == "Ready"
        assert (status["digest"], status["size"]) == (gen.DIGEST, 1200)
        assert status["metrics"] == {"val_accuracy": "0.98"}
        assert json.loads(status["signature"]) == RESULT["signature"]
        assert (status["run"], status["experiment"]) == ("r", "digits")
        assert status["source"] == FETCHED["uri"]
        assert condition(told)["status"] == "True"
        assert condition(told, "Servable")["reason"] == "Compatible"
        assert [e.reason for e in told.events] == ["Published"]
        assert told.recheck_after is None

    def test_a_published_version_is_left_alone(self) -> None:
        resource = version(status=gen.published())
        first = plan(resource, observed())

        assert plan({**resource, "status": first.status}, observed()) == Plan(status=first.status)

    def test_metrics_that_gates_read_come_first_when_there_are_too_many(self) -> None:
        requires = {"metric": "z", "goal": "maximize", "threshold": 1}
        judged = gen.model(stages=[gen.stage("production", "approval", requires)])
        summary = {"metrics": {**{f"m{n:03}": "1" for n in range(200)}, "z": "2"}}
        resource = version(status=gen.published())

        told = plan(resource, observed(model=judged, summary=summary))

        assert len(told.status["metrics"]) == 100
        assert told.status["metrics"]["z"] == "2"

    def test_while_its_run_goes_on_metrics_are_read_again_for_a_while(self) -> None:
        resource = version(status=gen.published())
        summary = {"metrics": {"loss": "1"}, "status": "RUNNING"}

        young = plan(resource, observed(summary=summary))
        old = plan(resource, observed(summary=summary), now=NOW + timedelta(hours=2))

        assert young.recheck_after is not None
        assert old.recheck_after is None

    def test_a_large_signature_becomes_a_link(self) -> None:
        resource = version()
        result = {**RESULT, "signature": {"inputs": ["x" * 5000]}}
        told = plan(resource, observed(attempt(resource, main=[ended("publish", message=result)])))

        assert json.loads(told.status["signature"]) == {"manifest": gen.DIGEST}

    def test_one_applied_by_hand_is_tied_to_its_model(self) -> None:
        resource = gen.model_version(metadata={"finalizers": []})
        (hold,) = plan(resource, observed()).effects

        assert isinstance(hold, HoldVersion)
        assert hold.owner["uid"] == MODEL["metadata"]["uid"]


class TestWaiting:
    @pytest.mark.parametrize(
        ("seen", "reason"),
        [
            pytest.param({"model": None}, "ModelMissing", id="for its model"),
            pytest.param({"run": None}, "SourceMissing", id="for its run to exist"),
            pytest.param({"run": gen.run()}, "SourceIncomplete", id="for its run to finish"),
        ],
    )
    def test_it_waits_and_says_for_what(self, seen: dict[str, Any], reason: str) -> None:
        told = plan(version(), observed(**seen))

        assert condition(told)["reason"] == reason
        assert told.create == ()
        assert told.status["phase"] == "Pending"

    def test_a_run_that_is_gone_after_it_was_noted_is_no_obstacle(self) -> None:
        told = plan(version(status={"runID": "ab" * 16}), observed(run=None))

        assert told.create

    def test_other_sources_wait_for_no_run(self) -> None:
        source = {"mlflowRun": {"id": "ab" * 16, "artifactPath": "model"}}
        told = plan(version(source=source), observed(run=None))

        assert told.create
        assert told.status["runID"] == "ab" * 16


class TestFailing:
    def test_a_format_that_is_not_allowed_is_final_at_once(self) -> None:
        resource = version()
        refusal = {"reason": "FormatNotAllowed", "message": "the model is in the format sklearn"}
        failed = attempt(resource, init=[ended("fetch"), ended("convert", 3, refusal)])

        told = plan(resource, observed(failed))

        assert told.status["phase"] == "Rejected"
        assert condition(told)["reason"] == "FormatNotAllowed"
        assert "sklearn" in condition(told)["message"]
        assert [e.type for e in told.events] == ["Warning"]

    def test_what_was_rejected_stays_so(self) -> None:
        rejected = {"phase": "Rejected"}

        assert plan(version(status=rejected), observed()) == Plan(status=rejected)

    def test_an_outage_is_tried_again_after_a_pause_with_another_job(self) -> None:
        resource = version()
        away = {"reason": "TrackingUnavailable", "message": "did not answer for 600 s"}
        early = attempt(resource, init=[ended("fetch", 4, away, ago=5)])
        late = attempt(resource, init=[ended("fetch", 4, away, ago=60)])

        waits, goes = plan(resource, observed(early)), plan(resource, observed(late))

        assert waits.create == ()
        assert waits.recheck_after == timedelta(seconds=5)
        assert goes.create[0]["metadata"]["name"] == "digits-1-publish-2"

    def test_pauses_grow_and_end(self) -> None:
        resource = version()
        last = attempt(resource, publishing.ATTEMPTS, main=[ended("publish", 4, "boom")])

        told = plan(resource, observed(last))

        assert told.status["phase"] == "Rejected"
        assert condition(told)["reason"] == "PublishFailed"
        assert "boom" in condition(told)["message"]

    def test_a_missing_source_may_only_be_late(self) -> None:
        resource = version()
        gone = {"reason": "SourceMissing", "message": "no such run"}
        told = plan(resource, observed(attempt(resource, init=[ended("fetch", 2, gone)])))

        assert told.create[0]["metadata"]["name"] == "digits-1-publish-2"

    def test_a_folder_without_mlmodel_is_final(self) -> None:
        resource = version()
        gone = {"reason": "SourceMissing", "message": "the source has no MLmodel file"}
        told = plan(resource, observed(attempt(resource, init=[ended("convert", 2, gone)])))

        assert condition(told)["reason"] == "SourceMissing"
        assert told.status["phase"] == "Rejected"

    @pytest.mark.parametrize(("ago", "started"), [(5, 0), (120, 1)])
    def test_a_job_whose_pod_is_gone_is_given_a_moment_then_tried_again(
        self, ago: int, started: int
    ) -> None:
        resource = version()
        end = gen.condition("Complete", lastTransitionTime=rfc3339(NOW - timedelta(seconds=ago)))
        job, _ = attempt(resource, conditions=[end])

        told = plan(resource, observed(jobs=(job,)))

        assert len(told.create) == started

    def test_a_spent_number_is_refused(self) -> None:
        spent = gen.model(status={"retired": 1, "retiredVersions": [1]})
        told = plan(gen.model_version(metadata={"finalizers": []}), observed(model=spent))

        assert condition(told)["reason"] == "NumberUsed"
        assert [type(e) for e in told.effects] == [HoldVersion]

    @pytest.mark.parametrize("phase", ["Ready", "Publishing"])
    def test_an_outage_never_unpublishes(self, phase: str) -> None:
        status = gen.published() if phase == "Ready" else {"phase": phase}
        resource = version(status=status)
        error = Retry("TrackingUnavailable", "connection refused")

        told = kind.refused(resource, status, error=error, condition="Published", now=NOW)

        published = [c for c in told["conditions"] if c["type"] == "Published"]
        assert published[0]["status"] == ("True" if phase == "Ready" else "False")


class TestDeleting:
    def deleting(self) -> Object:
        return version(metadata={"deletionTimestamp": gen.CREATED})

    def test_it_stays_until_its_number_is_retired(self) -> None:
        assert plan(self.deleting(), observed()).effects == ()

    @pytest.mark.parametrize(
        "model",
        [
            pytest.param(gen.model(status={"retired": 1, "retiredVersions": [1]}), id="retired"),
            pytest.param(None, id="its model is gone"),
            pytest.param(
                gen.model(metadata={"deletionTimestamp": gen.CREATED}), id="its model is going"
            ),
        ],
    )
    def test_then_it_goes(self, model: Object | None) -> None:
        (release,) = plan(self.deleting(), observed(model=model)).effects

        assert isinstance(release, ReleaseFinalizer)


class TestObserving:
    class Tracking:
        def __init__(self, answer: Mapping[str, Any] | Exception) -> None:
            self.answer, self.asked = answer, 0

        async def summary(self, namespace: str, run_id: str) -> Mapping[str, Any]:
            self.asked += 1
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    class World:
        def __init__(self, tracking: Any, *objects: Object) -> None:
            self.tracking, self.objects = tracking, objects

        def get(self, resource: str, namespace: str, name: str) -> Object | None:
            kinds = {"models": "Model", "runs": "Run"}
            found = (o for o in self.objects if o["kind"] == kinds[resource])
            return next(found, None)

        def list(self, resource: str, namespace: str, **how: Any) -> Sequence[Object]:
            kinds = {"jobs": "Job", "pods": "Pod"}
            return [o for o in self.objects if o["kind"] == kinds[resource]]

        def now(self) -> datetime:
            return NOW + timedelta(days=1)

    def world(self, answer: Mapping[str, Any] | Exception, *objects: Object) -> Any:
        return self.World(self.Tracking(answer), MODEL, FINISHED_RUN, *objects)

    async def test_metrics_are_read_once_the_result_is_there(self) -> None:
        resource = version()
        done = attempt(resource, main=[ended("publish", message=RESULT)])
        world = self.world({"metrics": {"a": "1"}}, *done)

        seen = await kind.observe(resource, world)

        assert seen.summary == {"metrics": {"a": "1"}}

    @pytest.mark.parametrize("resource", [version(), version(status=gen.published())])
    async def test_before_and_long_after_the_tracking_service_is_not_asked(
        self, resource: Object
    ) -> None:
        world = self.world({}, *attempt(resource))

        await kind.observe(resource, world)

        assert world.tracking.asked == 0

    async def test_a_run_that_tracking_does_not_know_has_no_metrics(self) -> None:
        resource = version()
        done = attempt(resource, main=[ended("publish", message=RESULT)])

        seen = await kind.observe(resource, self.world(NotFound("NotFound", "gone"), *done))

        assert seen.summary == {}

    async def test_a_version_is_not_published_without_the_metrics_that_gates_read(self) -> None:
        resource = version()
        done = attempt(resource, main=[ended("publish", message=RESULT)])

        with pytest.raises(Retry):
            await kind.observe(resource, self.world(Retry("TrackingUnavailable", "x"), *done))


class TestTheJob:
    def containers(self) -> dict[str, Object]:
        job = publishing_job(version(), attempt=1, allowed=["onnx"], settings=SETTINGS)
        pod = job["spec"]["template"]["spec"]
        return {c["name"]: c for c in [*pod["initContainers"], *pod["containers"]]}

    def test_the_three_hand_on_one_folder_that_only_the_first_writes(self) -> None:
        containers = self.containers()

        writers = [
            name
            for name, c in containers.items()
            if any(m["name"] == "model" and not m["readOnly"] for m in c["volumeMounts"])
        ]
        assert list(containers) == ["fetch", "convert", "publish"]
        assert writers == ["fetch"]

    def test_convert_holds_no_token_and_no_address(self) -> None:
        convert = self.containers()["convert"]

        assert "token" not in {m["name"] for m in convert["volumeMounts"]}
        assert "TRAINYARD_TRACKING_URL" not in {e["name"] for e in convert["env"]}
        assert convert["args"][-2:] == ["--allow", "onnx"]

    def test_every_container_is_restricted(self) -> None:
        for container in self.containers().values():
            security = container["securityContext"]
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["readOnlyRootFilesystem"]

    def test_a_long_name_still_fits_a_label(self) -> None:
        long = gen.model_version("m" * 50, 123456789)
        other = gen.model_version("m" * 50, 123456780)

        first = publishing_job(long, attempt=12, allowed=(), settings=SETTINGS)
        second = publishing_job(other, attempt=12, allowed=(), settings=SETTINGS)

        assert len(first["metadata"]["name"]) <= 63
        assert first["metadata"]["name"] != second["metadata"]["name"]


class TestJudging:
    STATUS = {"flavors": RESULT["flavors"], "requirements": RESULT["requirements"]}

    def test_one_runtime_that_fits_is_enough(self) -> None:
        old = Runtime("old", serving_image="serving:0", packages={"scikit-learn": "1.5.0"})

        verdict = judge(self.STATUS, runtimes={"old": old, **SETTINGS.runtimes})

        assert verdict.status == "True"

    def test_without_a_serving_runtime_it_stays_open(self) -> None:
        verdict = judge(self.STATUS, runtimes={"train": Runtime("train", image="x")})

        assert verdict.status == "Unknown"

    def test_a_model_without_signature_has_none_in_its_status(self) -> None:
        assert "signature" not in read_result({"digest": gen.DIGEST})
