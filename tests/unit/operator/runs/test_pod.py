"""The children of a Run: what an ordinary script needs, and nothing that it could abuse."""

import dataclasses
import re
from typing import Any

import jwt
import pytest
from builders import given
from builders.stage import KEY, SETTINGS
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from trainyard_api.attempts import attempt_run_id
from trainyard_operator import names
from trainyard_operator.engine import objects
from trainyard_operator.engine.plan import Object
from trainyard_operator.runs.job import run_job
from trainyard_operator.tokens import deployment_token, run_token, token_secret, version_token

GIT = {"git": {"url": "https://git.example/t/d", "revision": "main", "path": "/src/"}}


def job(**spec: Any) -> Object:
    status = spec.pop("status", None)
    return run_job(given.run(status=status, **spec), 1, settings=SETTINGS)


def pod(**spec: Any) -> Object:
    made: Object = job(**spec)["spec"]["template"]["spec"]
    return made


def main(**spec: Any) -> Object:
    made: Object = pod(**spec)["containers"][0]
    return made


def source(**spec: Any) -> Object:
    made: Object = pod(**spec)["initContainers"][0]
    return made


def env(container: Object) -> Object:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


class TestJob:
    def test_it_is_one_attempt_whatever_ends_the_pod(self) -> None:
        spec = job()["spec"]

        assert (spec["backoffLimit"], spec["completions"], spec["completionMode"]) == (
            0,
            1,
            "Indexed",
        )

    def test_it_goes_by_itself_unless_the_run_says_when(self) -> None:
        kept = dataclasses.replace(SETTINGS, job_ttl=None)

        assert job()["spec"]["ttlSecondsAfterFinished"] == SETTINGS.job_ttl
        assert "ttlSecondsAfterFinished" not in job(ttlSecondsAfterFinished=60)["spec"]
        assert "ttlSecondsAfterFinished" not in run_job(given.run(), 1, settings=kept)["spec"]

    def test_it_belongs_to_this_very_run(self) -> None:
        made, run = job(), given.run()

        assert objects.is_ours(made, run)
        assert made["metadata"]["labels"][names.RUN_UID] == run["metadata"]["uid"]

    def test_labels_of_the_user_do_not_hide_ours(self) -> None:
        overlay = {"labels": {"team": "a", names.RUN: "other"}, "annotations": {"x": "y"}}
        template = job(podTemplate=overlay)["spec"]["template"]["metadata"]

        assert template["labels"]["team"] == "a"
        assert template["labels"][names.RUN] == "r"
        assert template["annotations"] == {"x": "y"}


class TestMain:
    def test_the_program_is_unchanged_but_for_the_parameters_in_order(self) -> None:
        parameters = {"n": 200, "deep": True, "rate": 0.1, "name": "a b"}
        made = main(args=["-v"], parameters=parameters)

        assert made["command"] == ["python", "train.py"]
        assert made["args"] == ["-v", "--n=200", "--deep=true", "--rate=0.1", "--name=a b"]

    def test_its_environment_has_the_recording_and_the_parameters(self) -> None:
        seen = env(main(parameters={"learning.rate": 0.1}))

        assert seen["MLFLOW_TRACKING_URI"] == "http://tracking:5000"
        assert seen["TRAINYARD_RUN_ID"] == given.run_id("r")
        assert seen["MLFLOW_EXPERIMENT_NAME"] == "digits"
        assert seen["TRAINYARD_PARAM_LEARNING_RATE"] == "0.1"
        assert seen["MLFLOW_TRACKING_TOKEN"]["secretKeyRef"]["name"].startswith("r-")

    @pytest.mark.parametrize("attempt", [1, 2])
    def test_it_is_told_where_the_attempt_before_is_on_record(self, attempt: int) -> None:
        made = run_job(given.run(), attempt, settings=SETTINGS)
        seen = env(made["spec"]["template"]["spec"]["containers"][0])
        before = attempt_run_id(seen["TRAINYARD_RUN_ID"], 1) if attempt == 2 else None

        assert seen["TRAINYARD_ATTEMPT"] == str(attempt)
        assert seen.get("TRAINYARD_PREVIOUS_RUN_ID") == before

    def test_a_parameter_arrives_as_it_is_written(self) -> None:
        made = main(parameters={"cost": "$(HOME) $$5 $x"})

        # Kubernetes makes $ of $$, and replaces $(NAME).
        assert made["args"] == ["--cost=$$(HOME) $$$$5 $$x"]
        assert env(made)["TRAINYARD_PARAM_COST"] == "$$(HOME) $$$$5 $$x"

    def test_the_user_may_add_variables_and_replace_defaults_only(self) -> None:
        theirs = [
            {"name": "HOME", "value": "/data"},
            {"name": "MLFLOW_RUN_ID", "value": "mine"},
            {"name": "DATA", "value": "x"},
        ]
        made = main(env=theirs)
        seen = env(made)

        assert (seen["HOME"], seen["DATA"]) == ("/data", "x")
        assert seen["USER"] == "trainyard"
        assert "MLFLOW_RUN_ID" not in seen
        assert seen["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] == "true"
        assert len({each["name"] for each in made["env"]}) == len(made["env"])

    def test_its_last_lines_are_its_termination_message(self) -> None:
        assert main()["terminationMessagePolicy"] == "FallbackToLogsOnError"

    def test_it_starts_where_the_image_says_without_a_source(self) -> None:
        assert "workingDir" not in main()

    def test_it_has_a_home_a_tmp_and_shared_memory_to_write_to(self) -> None:
        paths = {mount["mountPath"] for mount in main()["volumeMounts"]}

        assert paths == {"/home/trainyard", "/tmp", "/dev/shm"}

    def test_a_runtime_brings_image_resources_and_tolerations(self) -> None:
        made = pod(runtime="sklearn")

        assert made["containers"][0]["image"] == "runtime:1"
        assert made["containers"][0]["resources"] == {"requests": {"cpu": "500m"}}
        assert made["tolerations"] == [{"key": "gpu", "operator": "Exists"}]

    def test_resources_of_the_run_win(self) -> None:
        wanted = {"limits": {"memory": "1Gi"}}

        assert main(runtime="sklearn", resources=wanted)["resources"] == wanted


class TestPod:
    def test_it_holds_no_key_of_the_cluster_and_no_right_it_does_not_need(self) -> None:
        made = pod()
        container = made["containers"][0]["securityContext"]

        assert made["automountServiceAccountToken"] is False
        assert made["shareProcessNamespace"] is True
        assert made["securityContext"]["runAsNonRoot"] is True
        assert made["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

    def test_it_runs_as_the_administrator_says_or_as_the_run_does(self) -> None:
        assert pod()["securityContext"]["runAsUser"] == 10001
        overlay = {"runAsUser": 5, "fsGroup": 6}
        assert pod(podTemplate=overlay)["securityContext"]["runAsUser"] == 5
        assert pod(podTemplate=overlay)["securityContext"]["fsGroup"] == 6

    def test_without_a_setting_it_runs_as_the_images_user_but_never_as_root(self) -> None:
        settings = dataclasses.replace(SETTINGS, run_as_user=None, fs_group=None)
        made = run_job(given.run(), 1, settings=settings)["spec"]["template"]["spec"]

        assert "runAsUser" not in made["securityContext"]
        assert made["securityContext"]["runAsNonRoot"] is True

    def test_what_the_overlay_may_say_is_passed_on(self) -> None:
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": "d"}}
        mount = {"name": "data", "mountPath": "/data"}
        made = pod(
            podTemplate={
                "nodeSelector": {"gpu": "yes"},
                "priorityClassName": "high",
                "tolerations": [{"operator": "Exists"}],
                "volumes": [volume],
                "volumeMounts": [mount],
            }
        )

        assert made["nodeSelector"] == {"gpu": "yes"}
        assert made["priorityClassName"] == "high"
        assert made["tolerations"] == [{"operator": "Exists"}]
        assert volume in made["volumes"]
        assert mount in made["containers"][0]["volumeMounts"]


class TestSource:
    def test_names_in_git_reach_the_agent_as_they_are(self) -> None:
        # Kubernetes makes $ of $$, and replaces $(NAME).
        git = {"url": "https://git.example/$(HOME)", "revision": "a$$b", "path": "$x"}

        words = source(source={"git": git}, image="i")["command"]

        assert {"https://git.example/$$(HOME)", "a$$$$b", "$$x"} <= set(words)

    def test_git_is_checked_out_to_work_and_the_program_starts_in_its_path(self) -> None:
        made = source(source=GIT)

        assert made["command"][3:] == [
            *("fetch", "git", "--url", "https://git.example/t/d", "--revision", "main"),
            *("--path", "/src/", "--into", "/work"),
        ]
        assert main(source=GIT)["workingDir"] == "/work/src"

    def test_later_attempts_use_the_first_ones_commit(self) -> None:
        assert "abc" in source(source=GIT, status={"commit": "abc"})["command"]

    def test_git_credentials_are_seen_by_the_fetching_container_only(self) -> None:
        secret = {"git": {**GIT["git"], "credentialsSecret": "deploy-key"}}
        mounted = {mount["name"] for mount in main(source=secret)["volumeMounts"]}

        assert "--credentials" in source(source=secret)["command"]
        assert "trainyard-git" not in mounted

    def test_an_archive_is_fetched_by_its_digest_with_the_runs_token(self) -> None:
        made = source(source={"archive": {"digest": given.DIGEST}})

        assert given.DIGEST in made["command"]
        assert "TRAINYARD_TOKEN" in env(made)

    def test_a_config_map_is_copied_so_that_work_can_be_written_to(self) -> None:
        spec = {"configMap": {"name": "code"}}

        assert source(source=spec)["command"][0] == "sh"
        assert main(source=spec)["workingDir"] == "/work"
        volumes = {each["name"]: each for each in pod(source=spec)["volumes"]}
        assert volumes["trainyard-source"]["configMap"] == {"name": "code"}

    def test_fetching_asks_for_no_device(self) -> None:
        resources = {"limits": {"cpu": "1", "nvidia.com/gpu": "1"}}

        assert source(source=GIT, resources=resources)["resources"] == {"limits": {"cpu": "1"}}


class TestTokens:
    @pytest.fixture
    def public(self) -> Any:
        return load_pem_private_key(KEY.encode(), None).public_key()

    def read(self, token: str, public: Any) -> Object:
        # The builders' clock is not the machine's.
        options = {"verify_iat": False}
        audience = "trainyard-tracking"
        return dict(jwt.decode(token, public, ["EdDSA"], audience=audience, options=options))

    def test_a_runs_token_names_its_mlflow_run(self, public: Any) -> None:
        claims = self.read(run_token(given.run(), key=KEY), public)

        assert claims["sub"] == f"run:{given.run_id('r')}"
        assert (claims["ns"], claims["name"], claims["iss"]) == ("team", "r", "trainyard")

    def test_a_versions_token_names_this_very_version(self, public: Any) -> None:
        version = given.model_version()
        claims = self.read(version_token(version, key=KEY), public)

        assert claims["sub"] == f"modelversion:team/digits-1:{version['metadata']['uid']}"

    def test_a_deployments_token_lists_its_digests_in_order(self, public: Any) -> None:
        deployment = given.model_deployment()
        token = deployment_token(deployment, ["sha256:b", "sha256:a"], key=KEY)
        claims = self.read(token, public)

        assert claims["digests"] == ["sha256:a", "sha256:b"]
        assert claims["uid"] == deployment["metadata"]["uid"]

    def test_the_secret_belongs_to_whom_it_speaks_for(self) -> None:
        secret = token_secret(given.run(), "t", labels={"a": "b"})

        assert secret["stringData"] == {"token": "t"}
        assert objects.is_ours(secret, given.run())


class TestNames:
    def test_a_name_too_long_for_a_label_ends_in_a_hash(self) -> None:
        long = names.publish_job("m" * 60, 2)

        assert len(long) == 63
        assert long != names.publish_job("m" * 60, 3)

    def test_serving_children_are_named_by_digest(self) -> None:
        assert names.serving_child("d", "sha256:0123456789ab") == "d-01234567"

    def test_no_two_owners_and_no_two_tokens_share_a_secret(self) -> None:
        run, version = given.run("digits-1"), given.model_version("digits", 1)
        made = {names.token_secret("digits-1", each, t) for each in (run, version) for t in "ab"}

        assert len(made) == 4
        assert all(re.fullmatch("digits-1-[0-9a-f]{8}", name) for name in made)

    def test_who_has_no_controller_belongs_to_nobody(self) -> None:
        assert objects.controller_uid(given.job("j")) == ""

    def test_a_version_is_named_by_its_model_and_number(self) -> None:
        assert names.model_version("digits", 3) == "digits-3"
        assert names.component_labels("serving", {"a": "b"})["a"] == "b"
