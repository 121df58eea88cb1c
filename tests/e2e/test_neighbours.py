"""What belongs to others stays theirs, and what was told to leave is not done."""

import base64
import time

from on_cluster.runs import Kubectl, Object, condition, shell_run


def secret(name: str) -> Object:
    """Return a user's own Secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"token": "mine"},
    }


def is_running(run: Object) -> bool:
    """Tell whether the program runs."""
    return bool(run.get("status", {}).get("phase") == "Running")


def token_secrets(kube: Kubectl) -> list[str]:
    """Return the names of the operator's Secrets."""
    found = kube.list("secrets", "app.kubernetes.io/managed-by=trainyard")
    return [each["metadata"]["name"] for each in found]


def test_a_users_secret_outlives_a_run_that_might_have_taken_its_name(kube: Kubectl) -> None:
    kube.apply(secret("llama-token"))
    kube.apply(shell_run("llama", "true", ttlSecondsAfterFinished=1))
    kube.recorded("llama")
    kube("wait", "--for=delete", "job/llama-a1", "--timeout=60s")

    held = kube.get("secret", "llama-token")

    assert base64.b64decode(held["data"]["token"]) == b"mine"
    assert "ownerReferences" not in held["metadata"]
    assert not [name for name in token_secrets(kube) if name.startswith("llama-")]


def test_a_deleted_token_comes_back_before_it_is_missed(kube: Kubectl) -> None:
    script = 'test -n "$MLFLOW_TRACKING_TOKEN"; test "$TRAINYARD_ATTEMPT" = 2 || sleep 60'
    kube.apply(shell_run("robbed", script))
    kube.wait("run", "robbed", is_running)
    (name,) = [each for each in token_secrets(kube) if each.startswith("robbed-")]
    kube("delete", "secret", name)
    kube("delete", "pod", "-l", "trainyard.dev/run=robbed", "--wait=false")

    run = kube.finished("robbed")

    assert condition(run, "Succeeded")["reason"] == "Completed"
    assert run["status"]["attemptCount"] == 2


def test_a_program_that_leaves_because_it_was_told_to_is_not_done(kube: Kubectl) -> None:
    script = 'test "$TRAINYARD_ATTEMPT" = 2 && exit 0; trap "exit 0" TERM; sleep 600 & wait'
    kube.apply(shell_run("polite", script))
    kube.wait("run", "polite", is_running)
    kube("delete", "pod", "-l", "trainyard.dev/run=polite", "--wait=false")

    run = kube.finished("polite")

    assert [a["reason"] for a in run["status"]["attempts"]] == ["PodLost", "Completed"]
    assert run["status"]["retries"]["infrastructure"] == 1


def test_cancelling_a_program_that_handles_no_signal_takes_no_grace_time(kube: Kubectl) -> None:
    kube.apply(shell_run("deaf", "while true; do sleep 1; done"))
    kube.wait("run", "deaf", is_running)
    began = time.monotonic()
    kube("patch", "run", "deaf", "--type=merge", "-p", '{"spec":{"cancel":true}}')

    run = kube.finished("deaf")

    assert condition(run, "Succeeded")["reason"] == "Cancelled"
    # The grace time of a pod is 30 s.
    assert time.monotonic() - began < 20
