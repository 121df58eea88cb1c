from datetime import timedelta

import pytest
from builders.registry import NOW, child, crash, target
from trainyard_operator.deployments import rollout
from trainyard_operator.deployments.rollout import Child, Failure, Rejected, Target, Wish

OLD, NEW = target(1), target(2)


def decide(
    wish: Wish | None = None,
    *children: Child,
    stable: Target | None = OLD,
    rejected: Rejected | None = None,
) -> rollout.Rollout:
    return rollout.decide(
        wish or Wish(NEW, replicas=2), children=children, stable=stable, rejected=rejected, now=NOW
    )


class TestRollingOut:
    def test_the_first_version_gets_a_child(self) -> None:
        told = decide(None, stable=None)

        assert told.keep == (NEW,)
        assert (told.stable, told.updating) == (None, NEW)

    def test_a_new_version_gets_a_child_beside_the_old_one(self) -> None:
        told = decide(None, child(1, ready=2))

        assert told.keep == (OLD, NEW)
        assert told.remove == ()
        assert (told.stable, told.updating) == (OLD, NEW)

    @pytest.mark.parametrize("new", [child(2, ready=1), child(2, ready=2, is_current=False)])
    def test_the_old_one_stays_until_every_replica_is_ready(self, new: Child) -> None:
        told = decide(None, child(1, ready=2), new)

        assert told.keep == (OLD, NEW)
        assert not told.finished

    def test_once_all_are_ready_the_old_one_goes(self) -> None:
        told = decide(None, child(1, ready=2), child(2, ready=2))

        assert told.keep == (NEW,)
        assert told.remove == (OLD.digest,)
        assert (told.stable, told.updating) == (NEW, None)
        assert told.finished

    def test_a_third_version_replaces_one_that_was_on_its_way(self) -> None:
        told = decide(Wish(target(3), replicas=2), child(1, ready=2), child(2, ready=1))

        assert told.keep == (OLD, target(3))
        assert told.remove == (NEW.digest,)

    def test_turning_back_to_what_is_served_removes_the_one_on_its_way(self) -> None:
        told = decide(Wish(OLD, replicas=2), child(1, ready=2), child(2, ready=1))

        assert told.keep == (OLD,)
        assert told.remove == (NEW.digest,)
        assert told.finished

    def test_no_replicas_are_ready_at_once(self) -> None:
        told = decide(Wish(NEW, replicas=0), child(1), child(2))

        assert told.stable == NEW

    def test_after_a_crash_between_removing_and_telling_it_goes_on(self) -> None:
        told = decide(None, child(2, ready=2), stable=OLD)

        assert (told.stable, told.remove) == (NEW, ())

    @pytest.mark.parametrize(
        "wish", [Wish(NEW, replicas=2), Wish(None), Wish(NEW, blocked=Failure("NotServable", ""))]
    )
    def test_what_serves_stays_though_somebody_wiped_the_status(self, wish: Wish) -> None:
        told = decide(wish, child(1, ready=2), child(3, ready=1), stable=None)

        assert told.stable == OLD
        assert OLD in told.keep
        assert told.remove == (target(3).digest,)

    def test_a_first_version_is_not_served_before_all_of_it_is_ready(self) -> None:
        told = decide(None, child(2, ready=1), stable=None)

        assert (told.stable, told.updating) == (None, NEW)

    def test_a_child_that_someone_deleted_is_made_again(self) -> None:
        told = decide(Wish(OLD, replicas=2), child(1, deleting=True))

        assert told.keep == (OLD,)
        assert not told.finished

    def test_a_child_being_deleted_is_not_counted_ready(self) -> None:
        told = decide(None, child(1, ready=2), child(2, ready=2, deleting=True))

        assert (told.stable, told.updating) == (OLD, NEW)

    def test_the_same_digest_under_a_new_number_needs_no_second_child(self) -> None:
        renumbered = Target(7, OLD.digest)
        told = decide(Wish(renumbered, replicas=1), child(1, ready=1))

        assert told.keep == (renumbered,)
        assert told.stable == renumbered


class TestNotRollingOut:
    def test_without_a_target_what_is_served_stays(self) -> None:
        told = decide(Wish(None), child(1, ready=1), child(2))

        assert told.keep == (OLD,)
        assert told.remove == (NEW.digest,)

    def test_without_a_target_and_anything_served_there_is_nothing(self) -> None:
        assert decide(Wish(None), stable=None).keep == ()

    def test_what_is_not_servable_is_not_started(self) -> None:
        mismatch = Failure("VersionMismatch", "scikit-learn 1.6.1 (runtime has 1.7.2)")
        told = decide(Wish(NEW, blocked=mismatch), child(1, ready=1))

        assert told.keep == (OLD,)
        assert told.progressing == mismatch

    def test_what_is_served_already_is_not_stopped_for_not_being_servable(self) -> None:
        mismatch = Failure("VersionMismatch", "the runtime was upgraded")
        told = decide(Wish(OLD, blocked=mismatch), child(1, ready=1))

        assert told.keep == (OLD,)


class TestFailing:
    def test_a_first_crash_is_told_while_the_old_one_serves(self) -> None:
        told = decide(None, child(1, ready=2), child(2, failure=crash(1)))

        assert told.keep == (OLD, NEW)
        assert told.progressing == crash(1)
        assert told.rejected is None

    def test_repeated_crashes_reject_the_digest_and_keep_the_old_one(self) -> None:
        told = decide(None, child(1, ready=2), child(2, failure=crash(rollout.CRASH_LIMIT)))

        assert told.keep == (OLD,)
        assert told.remove == (NEW.digest,)
        assert told.rejected == Rejected(
            NEW.digest, "LoadFailed", "model.pkl could not be loaded", None
        )
        assert told.progressing is not None
        assert "spec.retry" in told.progressing.message

    @pytest.mark.parametrize(
        "failure", [None, Failure("InvalidImageName", "no image")], ids=["silent", "image"]
    )
    def test_the_deadline_rejects_what_never_became_ready(self, failure: Failure | None) -> None:
        late = child(2, age=rollout.DEADLINE, failure=failure)
        told = decide(None, child(1, ready=2), late)

        assert told.rejected is not None
        assert told.rejected.reason == (failure.reason if failure else "ProgressDeadlineExceeded")

    def test_the_deadline_is_looked_at_in_time(self) -> None:
        told = decide(None, child(1, ready=2), child(2, age=timedelta(minutes=9)))

        assert told.recheck_after == timedelta(minutes=1)

    def test_a_child_with_a_ready_pod_is_no_bad_digest(self) -> None:
        told = decide(None, child(1, ready=2), child(2, ready=1, age=timedelta(hours=1)))

        assert told.rejected is None
        assert told.updating == NEW

    def test_what_others_have_to_mend_is_never_the_digests_fault(self) -> None:
        why = Failure("ImagePullFailed", "the registry does not answer", restarts=9, waits=True)
        told = decide(None, child(1, ready=2), child(2, age=timedelta(days=1), failure=why))

        assert told.rejected is None
        assert told.updating == NEW
        assert told.progressing == why

    def test_a_server_that_never_started_had_no_chance_to_fail(self) -> None:
        waiting = Child(NEW, since=None)
        told = decide(None, child(1, ready=2), waiting)

        assert told.rejected is None
        assert told.recheck_after == rollout.DEADLINE

    def test_a_rejected_digest_is_not_tried_again(self) -> None:
        told = decide(None, child(1, ready=2), rejected=Rejected(NEW.digest, "LoadFailed", "x"))

        assert told.keep == (OLD,)
        assert told.rejected is not None

    def test_a_new_retry_token_tries_again(self) -> None:
        rejected = Rejected(NEW.digest, "LoadFailed", "x", retry=1)
        told = decide(Wish(NEW, retry=2), child(1, ready=1), rejected=rejected)

        assert told.updating == NEW
        assert told.rejected is None

    def test_a_pointer_that_moved_on_and_back_tries_again(self) -> None:
        rejected = Rejected(NEW.digest, "LoadFailed", "x")
        moved = decide(Wish(target(3)), child(1, ready=1), rejected=rejected)

        back = decide(Wish(NEW), child(1, ready=1), rejected=moved.rejected)

        assert back.updating == NEW

    def test_a_lost_target_does_not_forget_what_was_rejected(self) -> None:
        rejected = Rejected(NEW.digest, "LoadFailed", "x")

        assert decide(Wish(None), child(1, ready=1), rejected=rejected).rejected == rejected

    def test_a_first_version_that_fails_leaves_nothing_served(self) -> None:
        told = decide(None, child(2, failure=crash(3)), stable=None)

        assert told.keep == ()
        assert told.stable is None

    def test_a_served_version_that_crashes_is_told_and_kept(self) -> None:
        told = decide(Wish(OLD, replicas=2), child(1, ready=1, failure=crash(9)))

        assert told.keep == (OLD,)
        assert told.progressing == crash(9)
