"""The core around the kinds: order of doing, caches, who wakes whom, Events, the lease."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import gen
import pytest
from fakes import Clock, FakeKube
from gen_operator import NOW, SETTINGS, Process, Stage, World, attempt_job, attempt_pod
from trainyard_operator import calls, conditions, effects, names, settings
from trainyard_operator.cache import Cache
from trainyard_operator.conditions import Condition
from trainyard_operator.errors import (
    Conflict,
    LeaseLost,
    NotFound,
    OperatorError,
    Retry,
    Terminal,
)
from trainyard_operator.kinds import Kind, labelled, owner_of
from trainyard_operator.kinds.experiment import KIND as EXPERIMENT
from trainyard_operator.kinds.registry import KINDS
from trainyard_operator.kinds.run import KIND as RUN
from trainyard_operator.kube import error_of, path_of
from trainyard_operator.lease import Lease
from trainyard_operator.plan import Effect, Event, Object, Plan, Ref
from trainyard_operator.reconcile import Reconciler, merge_patch
from trainyard_operator.recorder import Recorder, event_object
from trainyard_operator.shell import Shell, wakers_of
from trainyard_operator.world import EXPERIMENTS, JOBS, PODS, RUNS, Key

KEY = Key(RUNS, gen.NAMESPACE, "r")


def kind_of(plan: Plan) -> Kind[None]:
    async def observe(resource: Object, world: Any) -> None:
        del resource, world

    def always(resource: Object, observed: None, /, *, now: datetime, settings: Any) -> Plan:
        del resource, observed, now, settings
        return plan

    return Kind(resource=RUNS, condition="Finished", observe=observe, plan=always)


def stage_with_run(**status: Any) -> Stage:
    stage = Stage()
    stage.add(gen.run(status=status or None))
    return stage


def process(stage: Stage, kind: Kind[Any]) -> Process:
    return Process(stage.kube, stage.tracking, {RUNS: kind})


class TestOrder:
    async def test_status_is_written_last_and_events_after_it(self) -> None:
        stage = stage_with_run()
        run = stage.kube.find("Run")[0]
        child = gen.job("child", of=run)
        event = Event("Normal", "Done", "done")
        plan = Plan({"phase": "X"}, apply=(child,), delete=(Ref.of(child),), events=(event,))
        life = process(stage, kind_of(plan))
        await life.reconciler.reconcile(KEY)

        assert stage.kube.writes == ["apply Job/child", "delete Job/child", "status Run/r"]
        assert life.teller.told == [event]

    async def test_an_equal_status_is_not_written_and_nothing_is_told(self) -> None:
        stage = stage_with_run(phase="X")
        event = Event("Normal", "Done", "done")
        life = process(stage, kind_of(Plan({"phase": "X"}, events=(event,))))
        await life.reconciler.reconcile(KEY)

        assert stage.kube.writes == []
        assert life.teller.told == []

    async def test_a_failing_call_stops_the_step_and_the_status_says_why(self) -> None:
        stage = stage_with_run()
        stage.tracking.down = Retry("TrackingUnavailable", "down")
        run = stage.kube.find("Run")[0]
        plan = Plan(
            {},
            effects=(calls.Audit("team", "m", {}),),
            create=(gen.job("never", of=run),),
        )
        with pytest.raises(Retry):
            await process(stage, kind_of(plan)).reconciler.reconcile(KEY)

        status = stage.kube.find("Run")[0]["status"]
        assert status["conditions"][0]["reason"] == "TrackingUnavailable"
        assert stage.kube.writes == ["status Run/r"]

    @pytest.mark.parametrize("error", [NotFound, Conflict])
    async def test_what_is_gone_in_the_middle_of_a_step_is_looked_at_anew(
        self, error: type[OperatorError], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage = stage_with_run()
        run = stage.kube.find("Run")[0]
        life = process(stage, kind_of(Plan({}, create=(gen.job("child", of=run),))))

        async def gone(desired: object) -> None:
            raise error("NamespaceGone", "there is no namespace team")

        monkeypatch.setattr(stage.kube, "create", gone)
        with pytest.raises(Retry, match="no namespace team"):
            await life.reconciler.reconcile(KEY)

    async def test_an_applied_child_is_not_applied_again_until_somebody_changes_it(self) -> None:
        stage = stage_with_run()
        run = stage.kube.find("Run")[0]
        child = gen.thing("apps/v1", "Deployment", "d", metadata={"ownerReferences": []})
        child["spec"] = {"replicas": 1}
        child["metadata"] = {"name": "d", "namespace": run["metadata"]["namespace"]}
        life = process(stage, kind_of(Plan({}, apply=(child,))))
        for _ in range(3):
            await life.reconciler.reconcile(KEY)
        assert stage.kube.writes == ["apply Deployment/d"]

        held = stage.kube.find("Deployment")[0]
        meta = {**held["metadata"], "generation": 9}
        stage.kube.put({**held, "metadata": meta, "spec": {"replicas": 0}})
        await life.reconciler.reconcile(KEY)
        assert stage.kube.find("Deployment")[0]["spec"] == {"replicas": 1}

    async def test_a_plan_that_cannot_be_made_is_told(self) -> None:
        stage = Stage()
        stage.add(gen.run(runtime="none"))
        life = stage.process()
        await life.look()

        assert stage.kube.find("Run")[0]["status"]["phase"] == "Failed"

    async def test_an_object_that_is_gone_is_nothing_to_do(self) -> None:
        assert await Stage().process().reconciler.reconcile(KEY) is None

    async def test_a_namesake_that_came_meanwhile_is_left_alone(self) -> None:
        stage = stage_with_run()
        life = process(stage, kind_of(Plan({"phase": "X"})))
        stage.kube.on_written = lambda _: None
        stage.kube.objects.clear()
        stage.add(gen.run())
        with pytest.raises(Retry):
            await life.reconciler.reconcile(KEY)

        assert "status" not in stage.kube.find("Run")[0]


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_a_merge_patch_has_what_changed_alone(old: Object, new: Object, patch: Object) -> None:
    assert merge_patch(old, new) == patch


class TestConditions:
    def test_the_transition_time_moves_with_the_status_only(self) -> None:
        run = gen.run()
        first = conditions.merge(run, {}, Condition("A", "False", "x", "1"), now=NOW)
        later = NOW + timedelta(hours=1)
        same = conditions.merge(run, first, Condition("A", "False", "y", "2"), now=later)
        moved = conditions.merge(run, same, Condition("A", "True", "y", "2"), now=later)

        assert same["conditions"][0]["lastTransitionTime"] == conditions.rfc3339(NOW)
        assert moved["conditions"][0]["lastTransitionTime"] == conditions.rfc3339(later)

    def test_what_is_said_again_changes_nothing(self) -> None:
        told = Condition("A", "True", "x", "1")
        first = conditions.merge(gen.run(), {}, told, now=NOW)

        assert conditions.merge(gen.run(), first, told, now=NOW + timedelta(1)) == first

    def test_conditions_are_found_by_type(self) -> None:
        status = conditions.merge(gen.run(), {}, Condition("A", "True", "x", "1"), now=NOW)

        assert conditions.is_true(status, "A")
        assert conditions.find(status, "B") is None
        assert not conditions.is_true({}, "A")
        assert conditions.summary(status, ["A", "B"]) == "A=True(x)"


class TestCache:
    def versioned(self, made: Object, version: int, **meta: Any) -> Object:
        return {**made, "metadata": {**made["metadata"], "resourceVersion": str(version), **meta}}

    def test_an_older_object_never_replaces_a_newer_one(self) -> None:
        cache = Cache()
        cache.remember(RUNS, self.versioned(gen.run(status={"phase": "Running"}), 5))

        assert cache.remember(RUNS, self.versioned(gen.run(), 4)) is None
        assert (cache.get(RUNS, "team", "r") or {})["status"] == {"phase": "Running"}

    def test_what_was_deleted_does_not_come_back(self) -> None:
        cache = Cache()
        run = gen.run()
        cache.remember(RUNS, run)
        cache.drop(RUNS, run)

        assert cache.remember(RUNS, self.versioned(run, 9)) is None
        assert cache.get(RUNS, "team", "r") is None

    def test_a_namesake_is_not_dropped_with_its_predecessor(self) -> None:
        cache = Cache()
        cache.remember(RUNS, self.versioned(gen.run(), 9, uid="new"))
        cache.drop(RUNS, gen.run())

        assert cache.get(RUNS, "team", "r") is not None

    def test_children_are_found_by_their_controller(self) -> None:
        cache = Cache()
        run = gen.run()
        cache.remember(JOBS, attempt_job(run))
        cache.remember(JOBS, gen.job("other"))
        found = cache.list(JOBS, "team", owner=run["metadata"]["uid"])

        assert [job["metadata"]["name"] for job in found] == ["r-a1"]
        cache.drop(JOBS, attempt_job(run))
        assert cache.list(JOBS, "team", owner=run["metadata"]["uid"]) == []

    def test_children_are_found_by_label(self) -> None:
        cache = Cache()
        cache.remember(PODS, attempt_pod(gen.run()))

        assert len(cache.list(PODS, "team", labels={names.RUN: "r"})) == 1
        assert len(cache.list(PODS, "team", labels={names.RUN: "s"})) == 0
        assert len(cache.list(PODS, "elsewhere")) == 0
        assert len(list(cache.all(PODS))) == 1

    def test_a_pod_is_held_without_what_nobody_reads(self) -> None:
        cache = Cache()
        pod = attempt_pod(gen.run(), conditions=[{"type": "Ready", "status": "True", "x": 1}])
        pod["metadata"]["managedFields"] = [{"manager": "kubelet"}]
        pod["spec"]["volumes"] = [{"name": "v"}]
        held = cache.remember(PODS, pod) or {}

        assert "managedFields" not in held["metadata"]
        assert "volumes" not in held["spec"]
        assert held["status"]["conditions"] == [{"type": "Ready", "status": "True"}]

    def test_a_model_keeps_who_owns_its_aliases(self) -> None:
        fields = [{"manager": "trainyard-promoter"}]
        held = Cache().remember("models", gen.model(metadata={"managedFields": fields})) or {}

        assert held["metadata"]["managedFields"] == fields

    def test_a_run_keeps_annotations_but_not_its_manifest_twice(self) -> None:
        notes = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}
        held = Cache().remember(RUNS, gen.run(metadata={"annotations": notes})) or {}

        assert held["metadata"]["annotations"] == {"a": "b"}


class TestWaking:
    def woken(self, resource: str, seen: Object) -> set[Key]:
        world = World(FakeKube(Clock()), None)  # type: ignore[arg-type]  # not asked
        return {
            Key(kind.resource, seen["metadata"]["namespace"], name)
            for kind, waker in wakers_of(KINDS)[resource]
            for name in waker(seen, world)
        }

    def test_a_run_is_woken_by_its_job_and_its_pod(self) -> None:
        run = gen.run()

        assert KEY in self.woken(JOBS, attempt_job(run))
        assert KEY in self.woken(PODS, attempt_pod(run))
        assert KEY in self.woken(RUNS, run)

    def test_a_strangers_job_wakes_nobody(self) -> None:
        assert self.woken(JOBS, gen.job("j")) == set()

    def test_all_five_kinds_are_there(self) -> None:
        assert set(KINDS) == set(names.OWN_RESOURCES)

    def test_an_owner_of_another_group_is_not_ours(self) -> None:
        stranger = gen.thing("apps/v1", "Deployment", "d")

        assert list(owner_of("Deployment")(gen.job("j", of=stranger), None)) == []  # type: ignore[arg-type]
        assert list(labelled("x")(gen.job("j"), None)) == []  # type: ignore[arg-type]

    async def test_what_is_seen_is_queued_once_and_only_if_it_is_news(self) -> None:
        shell = Shell({RUNS: RUN}, World(FakeKube(Clock()), None))  # type: ignore[arg-type]
        shell.seen(RUNS, gen.run())
        shell.seen(RUNS, gen.run())
        assert len(shell.queue) == 1

        await shell.queue.get()
        shell.queue.done(KEY)
        shell.seen(RUNS, gen.run())
        assert len(shell.queue) == 0

        shell.seen(RUNS, gen.run(), deleted=True)
        assert len(shell.queue) == 1

    async def test_our_own_writes_are_seen_but_not_what_nobody_watches(self) -> None:
        shell = Shell({RUNS: RUN}, World(FakeKube(Clock()), None))  # type: ignore[arg-type]
        shell.written(gen.run())
        shell.written(gen.thing("v1", "Secret", "s"))

        assert len(shell.queue) == 1
        assert shell.world.get("secrets", "team", "s") is None

    async def test_workers_survive_a_bug_and_drain(self) -> None:
        stage = stage_with_run()
        looks: list[Key] = []

        class Buggy(Reconciler):
            async def reconcile(self, key: Key) -> timedelta | None:
                looks.append(key)
                if len(looks) == 1:
                    raise ZeroDivisionError
                if len(looks) == 2:
                    raise Retry("Wait", "for it", after=timedelta(milliseconds=1))
                return timedelta(hours=1)

        shell = Shell({RUNS: RUN}, stage.process().world)
        buggy = Buggy({}, shell.world, stage.kube, None, None, SETTINGS, stage.clock)  # type: ignore[arg-type]
        shell.start(buggy, workers=2)
        async with asyncio.timeout(5):
            while len(looks) < 3:
                await asyncio.sleep(0.01)
        await shell.drain(patience=1)
        assert looks == [KEY] * 3


class TestExperiment:
    async def test_it_counts_its_runs_by_phase(self) -> None:
        stage = Stage()
        stage.add(gen.experiment("digits"))
        phases: Iterable[str | None] = ("Succeeded", "Running", "Retrying", "Failed", None)
        for n, phase in enumerate(phases):
            stage.add(
                gen.run(f"r{n}", status={"phase": phase, "experimentID": "7"} if phase else None)
            )
        stage.add(gen.run("other", experiment="else"))
        await Process(stage.kube, stage.tracking, {EXPERIMENTS: EXPERIMENT}).look()
        status = stage.kube.find("Experiment")[0]["status"]

        assert status["runs"] == {
            "pending": 1,
            "running": 2,
            "succeeded": 1,
            "failed": 1,
            "cancelled": 0,
        }
        assert status["experimentID"] == "7"
        assert stage.kube.writes == ["status Experiment/digits"]

    def test_its_runs_wake_it_at_most_every_two_seconds(self) -> None:
        world = World(FakeKube(Clock()), None)  # type: ignore[arg-type]
        waker = EXPERIMENT.wakes[RUNS]
        assert list(waker(gen.run(), world)) == []

        world.cache.remember(EXPERIMENTS, gen.experiment())
        assert list(waker(gen.run(), world)) == ["digits"]
        assert EXPERIMENT.settle == timedelta(seconds=2)


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "message", "kind", "reason"),
        [
            (404, "", NotFound, "NotFound"),
            (409, "", Conflict, "AlreadyExists"),
            (422, "spec.x: invalid", Terminal, "InvalidSpec"),
            (400, "bad", Terminal, "InvalidSpec"),
            (403, "exceeded quota: q", Retry, "QuotaExceeded"),
            (403, "namespace x is being terminated", Retry, "NamespaceTerminating"),
            (403, "you may not", Retry, "Forbidden"),
            (503, "", Retry, "APIServerUnavailable"),
            (429, "", Retry, "APIServerUnavailable"),
        ],
    )
    def test_an_answer_is_an_error_of_ours(
        self, code: int, message: str, kind: type[Exception], reason: str
    ) -> None:
        body = f'{{"message": "{message}", "reason": "AlreadyExists"}}'.encode()
        error = error_of(code, body, {"Retry-After": "3"})

        assert type(error) is kind
        assert error.reason == reason

    def test_an_answer_that_is_no_json_is_kept_as_text(self) -> None:
        assert "proxy" in error_of(502, b"<html>proxy", {}).message

    def test_objects_have_paths(self) -> None:
        assert path_of("v1", "Pod", "ns", "p") == "/api/v1/namespaces/ns/pods/p"
        assert path_of("batch/v1", "Job", "ns") == "/apis/batch/v1/namespaces/ns/jobs"
        assert path_of(names.API_VERSION, "Deployment", "ns", "d").endswith("/modeldeployments/d")


class TestEffects:
    def test_every_call_has_a_performer(self) -> None:
        described = {
            each
            for each in vars(calls).values()
            if isinstance(each, type) and issubclass(each, Effect) and each is not Effect
        }

        assert described == effects.performed()

    async def test_a_run_registers_once_with_the_next_number(self) -> None:
        stage = Stage()
        life = stage.process()
        stage.add(gen.model(status={"retired": 4}))
        stage.add(gen.model_version(version=2))
        call = calls.CreateVersion("team", "digits", "r", "uid-r", "model")
        first = await effects.perform(call, life.reconciler.tools, {})
        again = await effects.perform(call, life.reconciler.tools, {})

        assert first == again == {"name": "digits-5"}

    async def test_a_number_that_another_takes_meanwhile_is_passed_over(self) -> None:
        stage = Stage()
        life = stage.process()
        stage.add(gen.model())
        stage.kube.on_written = lambda _: None
        stage.add(gen.model_version(version=1))
        call = calls.CreateVersion("team", "digits", "r", "uid-r", "model")

        assert await effects.perform(call, life.reconciler.tools, {}) == {"name": "digits-2"}

    @pytest.mark.parametrize(
        ("models", "reason"),
        [
            ([], "NoModelLogged"),
            ([{"artifactPath": "a"}, {"artifactPath": "b"}], "SeveralModelsLogged"),
        ],
    )
    async def test_what_to_register_must_be_clear(self, models: list[Object], reason: str) -> None:
        stage = Stage()
        call = calls.CreateVersion("team", "digits", "r", "uid-r")
        answers = {"FinishRun": {"models": models}}
        with pytest.raises(Terminal) as raised:
            await effects.perform(call, stage.process().reconciler.tools, answers)

        assert raised.value.reason == reason

    async def test_a_finalizer_is_added_and_released_once(self) -> None:
        stage = Stage()
        tools = stage.process().reconciler.tools
        held = stage.add(gen.run())
        ref = Ref.of(held)
        for _ in range(2):
            await effects.perform(calls.AddFinalizer(ref, "x/y"), tools, {})
        assert stage.kube.find("Run")[0]["metadata"]["finalizers"] == ["x/y"]

        for _ in range(2):
            await effects.perform(calls.ReleaseFinalizer(ref, "x/y"), tools, {})
        assert stage.kube.find("Run")[0]["metadata"]["finalizers"] == []
        assert len(stage.kube.writes) == 2

    async def test_a_log_that_is_still_read_is_waited_for_in_the_same_words(self) -> None:
        life = Stage().process()
        life.logs.is_complete = lambda call: False  # type: ignore[method-assign]
        log = calls.FollowLog("team", "r", "id", 1, "p", "u")
        with pytest.raises(Retry) as raised:
            await effects.perform(calls.ArchiveLog(log), life.reconciler.tools, {})

        assert raised.value.reason == "Recording"


class TestRecorder:
    def test_an_event_says_who_what_and_why(self) -> None:
        body = event_object(gen.run(), Event("Warning", "ExitCode", "3"), now=NOW, identity="me")

        assert body["regarding"]["kind"] == "Run"
        assert (body["type"], body["reason"], body["note"]) == ("Warning", "ExitCode", "3")

    async def test_the_same_event_is_written_once_a_minute(self) -> None:
        recorder = Recorder(None, identity="me")  # type: ignore[arg-type]
        event = Event("Normal", "A", "a")
        for second in (0, 1, 59, 61):
            recorder.tell(gen.run(), event, now=NOW + timedelta(seconds=second))

        assert recorder._pending.qsize() == 2


class FakeLeases:
    """The API server's leases: one, with conflicts by resource version."""

    def __init__(self) -> None:
        self.held: Object | None = None
        self.version = 0
        self.down: Exception | None = None

    async def read(self, _: Ref) -> Object | None:
        if self.down:
            raise self.down
        return self.held

    async def post(self, made: Object) -> Object:
        if self.held:
            raise Conflict("AlreadyExists", "lease")
        return self._store(made)

    async def replace(self, made: Object) -> Object:
        if self.down:
            raise self.down
        held = self.held or {}
        if made["metadata"].get("resourceVersion") != held["metadata"]["resourceVersion"]:
            raise Conflict("Conflict", "lease")
        return self._store(made)

    def _store(self, made: Object) -> Object:
        self.version += 1
        meta = {**made["metadata"], "resourceVersion": str(self.version)}
        self.held = {**made, "metadata": meta}
        return self.held


class TestLease:
    def lease(self, leases: FakeLeases, identity: str, clock: list[float]) -> Lease:
        return Lease(
            leases,  # type: ignore[arg-type]  # a fake
            namespace="n",
            name="l",
            identity=identity,
            monotonic=lambda: clock[0],
            now=lambda: NOW,
        )

    async def test_only_one_of_two_leads(self) -> None:
        leases, clock = FakeLeases(), [0.0]
        first, second = self.lease(leases, "a", clock), self.lease(leases, "b", clock)

        assert await first.try_acquire()
        assert not await second.try_acquire()
        assert await first.try_acquire()

    async def test_an_abandoned_lease_is_taken_after_its_duration(self) -> None:
        leases, clock = FakeLeases(), [0.0]
        await self.lease(leases, "a", clock).try_acquire()
        second = self.lease(leases, "b", clock)
        assert not await second.try_acquire()
        clock[0] = 14.0
        assert not await second.try_acquire()

        clock[0] = 16.0
        assert await second.try_acquire()

    async def test_a_released_lease_is_taken_at_once(self) -> None:
        leases, clock = FakeLeases(), [0.0]
        first = self.lease(leases, "a", clock)
        await first.try_acquire()
        await first.release()

        assert await self.lease(leases, "b", clock).try_acquire()

    async def test_a_leader_whose_lease_another_took_stops(self, monkeypatch: Any) -> None:
        monkeypatch.setattr("trainyard_operator.lease.EVERY", 0)
        leases, clock = FakeLeases(), [0.0]
        first = self.lease(leases, "a", clock)
        await first.try_acquire()
        second = self.lease(leases, "b", clock)
        await second.try_acquire()
        clock[0] = 20.0
        await second.try_acquire()
        with pytest.raises(LeaseLost):
            await first.keep()

    async def test_a_leader_that_cannot_renew_in_time_stops(self, monkeypatch: Any) -> None:
        monkeypatch.setattr("trainyard_operator.lease.EVERY", 0)
        leases = FakeLeases()
        ticks = iter(float(n * 4) for n in range(100))
        first = Lease(
            leases,  # type: ignore[arg-type]  # a fake
            namespace="n",
            name="l",
            identity="a",
            monotonic=lambda: next(ticks),
            now=lambda: NOW,
        )
        await first.try_acquire()
        leases.down = Retry("APIServerUnavailable", "down")
        with pytest.raises(LeaseLost):
            await first.keep()


class TestSettings:
    def test_everything_has_a_default(self) -> None:
        read = settings.from_environment({})

        assert (read.run_as_user, read.http_port, read.watch_namespaces) == (10001, 8081, ())

    def test_variables_are_read(self, tmp_path: Any) -> None:
        runtimes = tmp_path / "runtimes.yaml"
        runtimes.write_text("sklearn: {image: a, servingImage: b, packages: {numpy: 2}}")
        read = settings.from_environment(
            {
                "TRAINYARD_RUNTIMES_FILE": str(runtimes),
                "TRAINYARD_WATCH_NAMESPACES": "a,b",
                "TRAINYARD_RUN_AS_USER": "",
                "TRAINYARD_TRACKING_URL": "http://x/",
            }
        )

        assert read.runtime("sklearn").packages == {"numpy": "2"}
        assert read.watch_namespaces == ("a", "b")
        assert read.run_as_user is None
        assert read.tracking_url == "http://x"

    def test_a_malformed_number_is_named(self) -> None:
        with pytest.raises(ValueError, match="TRAINYARD_FS_GROUP"):
            settings.from_environment({"TRAINYARD_FS_GROUP": "many"})

    def test_a_misspelt_field_of_a_runtime_is_refused(self) -> None:
        with pytest.raises(ValueError, match="servingImage"):
            settings.parse_runtimes("sklearn: {servingimage: a}")

    def test_an_unknown_runtime_names_those_there_are(self) -> None:
        with pytest.raises(Terminal, match="sklearn"):
            SETTINGS.runtime("torch")

    def test_the_signing_key_is_never_shown(self) -> None:
        assert "PRIVATE" not in repr(SETTINGS)
