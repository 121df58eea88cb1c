"""Traces and prompts."""

import mlflow
from mlflow import MlflowClient
from stepping import VERSION, Seen, step

prompts = mlflow.genai if VERSION >= (3, 0) else mlflow


@step("trace", since=(2, 14))
def trace(seen: Seen) -> None:
    @mlflow.trace
    def answer(question: str) -> str:
        with mlflow.start_span("think") as span:
            span.set_inputs({"question": question})
            span.set_outputs({"text": "yes"})
        return "yes"

    mlflow.set_experiment(seen.name)
    with mlflow.start_run(run_id=seen.run_id):
        answer("why")
    flush()
    # An old client knows its last trace in another place.
    given = getattr(mlflow, "get_last_active_trace_id", lambda: None)()
    seen.more["trace"] = given or mlflow.get_last_active_trace().info.request_id
    found = MlflowClient().get_trace(seen.more["trace"])
    assert [span.name for span in found.data.spans] == ["answer", "think"]


def flush() -> None:
    """Wait for traces that are sent from another thread, where the version does so."""
    if hasattr(mlflow, "flush_trace_async_logging"):
        try:
            mlflow.flush_trace_async_logging()
        except AttributeError:  # 2.x: nothing is sent from another thread
            return


@step("a trace of a failure; outside of a run", since=(2, 14))
def failing(seen: Seen) -> None:
    @mlflow.trace
    def fail() -> None:
        raise ValueError("no")

    try:
        fail()
    except ValueError:
        flush()
    given = getattr(mlflow, "get_last_active_trace_id", lambda: None)()
    number = given or mlflow.get_last_active_trace().info.request_id
    status = MlflowClient().get_trace(number).info.status
    assert "ERROR" in str(status), status


@step("tags of a trace", since=(2, 14))
def trace_tags(seen: Seen) -> None:
    client = MlflowClient()
    client.set_trace_tag(seen.more["trace"], "a", "b")
    assert client.get_trace(seen.more["trace"]).info.tags["a"] == "b"
    client.delete_trace_tag(seen.more["trace"], "a")
    assert "a" not in client.get_trace(seen.more["trace"]).info.tags


@step("feedback on a trace", since=(3, 2))
def feedback(seen: Seen) -> None:
    mlflow.log_feedback(trace_id=seen.more["trace"], name="good", value=True)
    mlflow.log_expectation(trace_id=seen.more["trace"], name="wanted", value="yes")
    told = MlflowClient().get_trace(seen.more["trace"]).info.assessments
    assert sorted(one.name for one in told) == ["good", "wanted"]


@step("search traces", since=(2, 14))
def search_traces(seen: Seen) -> None:
    number = MlflowClient().get_experiment_by_name(seen.name).experiment_id
    found = MlflowClient().search_traces([number])
    assert len(found) >= 2, found
    # MlflowClient's own search of a run fails before it asks in MLflow 3.
    assert len(mlflow.search_traces(run_id=seen.run_id)) >= 1


@step("delete traces", since=(2, 14))
def delete_traces(seen: Seen) -> None:
    number = MlflowClient().get_experiment_by_name(seen.name).experiment_id
    found = MlflowClient().search_traces([number])
    ids = [getattr(one.info, "trace_id", None) or one.info.request_id for one in found]
    arguments = {"trace_ids" if VERSION >= (3, 0) else "request_ids": ids[:1]}
    assert MlflowClient().delete_traces(number, **arguments) == 1


@step("register prompts", since=(2, 21))
def register(seen: Seen) -> None:
    name = f"{seen.name}-prompt"
    prompts.register_prompt(name, "Hello {{name}}", commit_message="first")
    made = prompts.register_prompt(name, "Hi {{name}}", commit_message="second")
    assert int(made.version) == 2
    prompts.set_prompt_alias(name, "live", 1)


@step("load prompts", since=(2, 21))
def load(seen: Seen) -> None:
    # Somebody else's: a Run has no right to make any.
    name = f"{seen.other}-prompt"
    assert prompts.load_prompt(f"prompts:/{name}/2").format(name="you") == "Hi you"
    assert prompts.load_prompt(f"prompts:/{name}@live").format(name="you") == "Hello you"


@step("search prompts", since=(3, 0))
def search(seen: Seen) -> None:
    found = mlflow.genai.search_prompts()
    assert found
    # A prompt is no model.
    models = [one.name for one in MlflowClient().search_registered_models()]
    assert not {one.name for one in found} & set(models)
