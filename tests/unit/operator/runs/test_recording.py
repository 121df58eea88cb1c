"""What the Run kind decides once the outcome is known, and when a step fails."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from builders import given
from builders.run_plans import LATER, ended_status, finished, kinds_of
from builders.stage import NOW, attempt_job, attempt_pod, condition_of, decide, ended
from trainyard_api.logged_models import candidates
from trainyard_operator.engine.errors import OperatorError, Retry, Terminal
from trainyard_operator.engine.plan import Object, Plan
from trainyard_operator.runs import effects
from trainyard_operator.runs import status as run_status
from trainyard_operator.runs.plan import refused


class TestRecording:
    def test_the_log_is_archived_and_the_record_closed(self) -> None:
        run = given.run(status=ended_status())
        told = decide(run, pod=attempt_pod(run, state=ended(0)))

        assert kinds_of(told.effects) == ["FinishRun"]
        assert condition_of(told, "Recorded")["status"] == "True"

    @pytest.mark.parametrize(
        ("phase", "outcome"),
        [("Succeeded", "FINISHED"), ("Failed", "FAILED"), ("Cancelled", "KILLED")],
    )
    def test_the_record_has_mlflows_word_for_the_outcome(self, phase: str, outcome: str) -> None:
        asked = decide(given.run(status=ended_status(phase=phase))).effects
        done = next(each for each in asked if isinstance(each, effects.FinishRun))

        assert done.outcome == outcome

    @pytest.mark.parametrize(
        ("value", "shown"),
        [("0.9722222222222222", "0.972222"), ("3", "3"), ("1.5e-07", "1.5e-07"), ("NaN", "nan")],
    )
    def test_the_headline_has_the_digits_that_people_read(self, value: str, shown: str) -> None:
        ending = effects.FinishRun("team", "id", "FINISHED", 0, {})
        status = ending.fold({}, {"metrics": {"acc": value}, "metric": "acc"})

        assert (status["metric"], status["metrics"]) == (f"acc={shown}", {"acc": value})

    def test_a_success_registers_its_model(self) -> None:
        run = given.run(status=ended_status(), register={"model": "digits"})

        assert kinds_of(decide(run).effects)[-1] == "CreateVersion"

    def test_a_failure_registers_nothing(self) -> None:
        run = given.run(status=ended_status(phase="Failed"), register={"model": "digits"})

        assert "CreateVersion" not in kinds_of(decide(run).effects)

    def test_a_run_that_never_started_gets_a_record_too(self) -> None:
        run = given.run(status=ended_status(attempts=[]))

        assert kinds_of(decide(run).effects) == ["RecordRun", "FinishRun"]

    def test_a_lost_pods_log_says_that_something_may_be_missing(self) -> None:
        effect = decide(given.run(status=ended_status("PodLost"))).effects[0]

        assert isinstance(effect, effects.FinishRun)
        assert effect.logs[0].cut

    @pytest.mark.parametrize("spec", [{}, {"ttlSecondsAfterFinished": 60}])
    def test_once_recorded_there_is_nothing_to_do_until_something_changes(
        self, spec: Object
    ) -> None:
        run = given.run(status=ended_status(), **spec)
        told = decide(run, pod=attempt_pod(run, state=ended(0)))
        again = decide({**run, "status": told.status}, pod=attempt_pod(run, state=ended(0)))

        assert told.is_steady
        assert again == replace(told, effects=(), is_steady=False)

    def test_a_model_to_register_is_something_to_do(self) -> None:
        run = given.run(status=ended_status(), register={"model": "digits"})

        assert not decide(run).is_steady

    def test_final_is_final(self) -> None:
        done = [given.condition("Finished"), given.condition("Recorded")]
        status = ended_status(conditions=done)
        told = decide(given.run(status=status, cancel=True))

        assert told == Plan(status=status, condition="CleanedUp")

    def test_a_sidecar_that_never_exits_is_stopped(self) -> None:
        done = [given.condition("Finished"), given.condition("Recorded")]
        run = given.run(status=ended_status(conditions=done))
        told = decide(run, jobs=(attempt_job(run),), after=LATER)

        assert [each.name for each in told.delete] == ["r-a1"]

    def test_children_go_once_their_time_is_over(self) -> None:
        done = [given.condition("Finished"), given.condition("Recorded")]
        run = given.run(status=ended_status(conditions=done), ttlSecondsAfterFinished=60)
        job = attempt_job(run, conditions=[{"type": "Complete", "status": "True"}])

        assert decide(run, jobs=(job,)).recheck_after == timedelta(seconds=30)
        told = decide(run, jobs=(job,), after=LATER)
        assert [each.kind for each in told.delete] == ["Secret", "Job"]
        assert told.delete[0].owner == run["metadata"]["uid"]
        assert not decide(run, after=LATER).delete


class TestRegistering:
    def register(self, error: OperatorError, **spec: Any) -> Object:
        """Return the Run after its registering failed in the step that recorded it."""
        held = ended_status()
        run = given.run(status=held, register={"model": "digits"}, **spec)
        told = refused(run, held, error=error, condition="Registered", now=given.NOW)
        return {**run, "status": told}

    def test_the_condition_is_there_only_if_it_was_asked_for(self) -> None:
        assert "Registered" not in str(decide(given.run(status=ended_status())).status)

    def test_the_condition_names_the_version(self) -> None:
        run = given.run(status=ended_status(), register={"model": "digits"})
        told = decide(run)
        status = told.effects[-1].fold(told.status, {"name": "digits-3"})
        condition = condition_of(Plan(status=status), "Registered")

        assert (condition["status"], condition["reason"]) == ("True", "Registered")
        assert "digits-3" in condition["message"]
        assert status["modelVersion"] == "digits-3"

    def test_what_was_not_registered_is_recorded_all_the_same(self) -> None:
        run = self.register(Terminal("NoModelLogged", "log one"))
        conditions = {each["type"]: each for each in run["status"]["conditions"]}

        assert conditions["Recorded"]["status"] == "True"
        assert conditions["Registered"]["reason"] == "NoModelLogged"

    def test_a_passing_failure_is_tried_again_without_recording_again(self) -> None:
        run = self.register(Retry("APIServerUnavailable", "busy"))

        assert kinds_of(decide(run).effects) == ["AskModels", "CreateVersion"]

    def test_registering_does_not_undo_that_nothing_was_archived(self) -> None:
        refused = given.condition("Recorded", "False", reason="TrackingRefused")
        status = {
            "phase": "Succeeded",
            "conditions": [given.condition("Finished"), refused],
            "completionTime": given.CREATED,
        }
        run = given.run(status=status, register={"model": "digits"})
        registered = run_status.recorded(run, now=NOW)
        unregistered = run_status.not_registered(run, status, reason="x", message="y", now=NOW)

        for told in (registered, unregistered):
            (held,) = [c for c in told["conditions"] if c["type"] == "Recorded"]
            assert held["reason"] == "TrackingRefused"

    def test_a_named_model_is_registered_again_without_asking(self) -> None:
        run = self.register(Retry("APIServerUnavailable", "busy"))
        run["spec"]["register"]["artifactPath"] = "m"

        assert kinds_of(decide(run).effects) == ["CreateVersion"]

    def test_pods_stay_until_registering_is_decided(self) -> None:
        waits = self.register(Retry("APIServerUnavailable", "busy"), ttlSecondsAfterFinished=0)
        final = self.register(Terminal("NoModelLogged", "log one"), ttlSecondsAfterFinished=0)
        job = attempt_job(waits, conditions=[{"type": "Complete", "status": "True"}])

        assert not decide(waits, jobs=(job,), after=LATER).delete
        assert decide(final, jobs=(job,), after=LATER).delete
        assert not decide(final, jobs=(job,), after=LATER).effects

    def test_a_version_of_a_run_from_before_the_condition_is_not_made_again(self) -> None:
        status = ended_status(
            modelVersion="digits-1",
            conditions=[given.condition("Finished"), given.condition("Recorded")],
        )

        assert not decide(given.run(status=status, register={"model": "digits"})).effects

    @pytest.mark.parametrize(
        ("models", "paths"),
        [
            ([("a", True)], ["a"]),
            ([("a", True), ("child", False)], ["a"]),
            ([("child", False)], ["child"]),
            ([("model", True), ("best_estimator", True)], ["best_estimator"]),
            ([("model", True), ("best_estimator", True), ("x", False)], ["best_estimator"]),
            ([("model", True), ("best_estimator", True), ("x", True)], None),
            ([("a", True), ("b", True)], ["a", "b"]),
        ],
    )
    def test_what_is_plain_is_chosen(
        self, models: list[tuple[str, bool]], paths: list[str] | None
    ) -> None:
        logged = [{"artifactPath": path, "own": own} for path, own in models]
        found = list(candidates(logged))

        assert found == paths if paths else len(found) > 1


class TestFailedSteps:
    def test_a_service_that_is_down_is_waited_for(self) -> None:
        error = Retry("TrackingUnavailable", "down")
        status = refused(given.run(), {}, error=error, condition="Finished", now=given.NOW)
        told = Plan(status=status)

        assert finished(told)["reason"] == "TrackingUnavailable"
        assert status["phase"] == "Pending"

    def test_what_the_user_must_change_ends_the_run(self) -> None:
        error = Terminal("InvalidSpec", "spec.x: change it")
        status = refused(given.run(), {}, error=error, condition="Finished", now=given.NOW)

        assert status["phase"] == "Failed"
        assert finished(Plan(status=status))["reason"] == "InvalidSpec"

    def test_recording_that_fails_changes_no_outcome(self) -> None:
        held = ended_status()
        error = Terminal("TrackingRefused", "no")
        status = refused(
            given.run(status=held), held, error=error, condition="Recorded", now=given.NOW
        )

        assert status["phase"] == "Succeeded"
        told = condition_of(Plan(status=status), "Recorded")
        assert (told["status"], told["reason"]) == ("False", "TrackingRefused")

    def test_clean_up_that_fails_is_told_beside_the_outcome(self) -> None:
        held = ended_status()
        error = Retry("Forbidden", "no")
        status = refused(
            given.run(status=held), held, error=error, condition="CleanedUp", now=given.NOW
        )
        run = given.run(status=status)

        assert condition_of(Plan(status=status), "CleanedUp")["reason"] == "Forbidden"
        assert status["phase"] == "Succeeded"
        mended = run_status.cleaned_up(run, status, now=given.NOW)
        assert condition_of(Plan(status=mended), "CleanedUp")["status"] == "True"

    def test_a_service_that_is_down_puts_recording_off(self) -> None:
        held = ended_status()
        error = Retry("TrackingUnavailable", "down")
        status = refused(
            given.run(status=held), held, error=error, condition="Recorded", now=given.NOW
        )

        assert condition_of(Plan(status=status), "Recorded")["status"] == "False"
