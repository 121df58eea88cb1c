"""A row for each rule of the specs of Experiments, Models, ModelVersions and Deployments."""

from typing import Any

from rows import HEX, Change, Object, Row

ALIAS = "has letters, digits, _ and -, and is neither latest nor v and a number"


def gate(**requirement: Any) -> Object:
    ordinary = {"metric": "accuracy", "goal": "maximize"}
    stage = {"name": "production", "requires": [ordinary | requirement]}
    return {"stages": [stage]}


SOURCE_URIS = [
    ("mlflow-artifacts:/1/a[1]/m", "mlflow-artifacts://[x/m", "a host or a bucket"),
    ("mlflow-artifacts://[::1]:5000/1/m", "mlflow-artifacts://[::1/1/m", "a host or a bucket"),
    ("abfss://c@a.dfs.example.com/x", "abfss://c@a]/x", "a host or a bucket"),
    ("models:/digits/1", "models://digits/1", "write one slash"),
    ("runs:/ab/model", "runs:/ab/model#2", "ends before ? and #"),
    ("s3://my_bucket/x?versionId=1", "mlflow-artifacts:/1/x?versionId=1", "ends before ? and #"),
    ("runs:/ab/modèle", "runs:/ab/m\x01", "no control character"),
    ("runs:/ab/model..2/.x/", "runs:/ab/../model", "each folder by its name"),
    ("s3://bucket/a//b", "runs:/ab//model", "each folder by its name"),
    ("runs:/ab/a%20b", "mlflow-artifacts:/1/a%20b", "not encoded"),
]
"""Of a version: a URI that may be, one that may not, and why."""

ROWS = [
    Row(
        "tags are not MLflow's own",
        {"tags": {"team": "vision"}},
        {"tags": {"mlflow.user": "me"}},
        "does not start with mlflow., which is MLflow's own",
        "spec.tags",
        "Experiment",
    ),
    *(
        Row(
            f"tags of a {kind} may be MLflow's own, but for the one of prompts",
            {**needs, "tags": {"mlflow.note": "x" * 100_000}},
            {**needs, "tags": {"mlflow.prompt.is_prompt": "true"}},
            "is not mlflow.prompt.is_prompt",
            "spec.tags",
            kind,
        )
        for kind, needs in (("Model", {}), ("ModelVersion", {}))
    ),
    Row(
        "a stage is an alias",
        {"stages": [{"name": "production"}]},
        {"stages": [{"name": "pre production"}]},
        f"a stage is an alias, whose name {ALIAS}",
        "spec.stages[0].name",
        "Model",
    ),
    Row(
        "stages are unique",
        {"stages": [{"name": "a"}, {"name": "b"}]},
        {"stages": [{"name": "a"}, {"name": "a"}]},
        "Duplicate value",
        "spec.stages[1]",
        "Model",
    ),
    *(
        Row(
            f"{alias} is no alias",
            {"aliases": {"champion-2_x": 1}},
            {"aliases": {alias: 1}},
            f"an alias {ALIAS}",
            "spec.aliases",
            "Model",
        )
        for alias in ("latest", "Latest", "v1", "V12", "a b", "")
    ),
    Row(
        "an alias points to a number",
        {"aliases": {"champion": 1}},
        {"aliases": {"champion": 0}},
        "should be greater than or equal to 1",
        "spec.aliases.champion",
        "Model",
    ),
    Row(
        "a gate compares with something",
        gate(threshold=0.9),
        gate(),
        "exactly one of threshold (a number) and betterThan (a stage)",
        "spec.stages[0].requires[0]",
        "Model",
    ),
    Row(
        "a gate compares with one thing",
        gate(betterThan="production", margin=0.01),
        gate(betterThan="production", threshold=0.9),
        "exactly one of threshold (a number) and betterThan (a stage)",
        "spec.stages[0].requires[0]",
        "Model",
    ),
    Row(
        "betterThan is a stage of the model",
        gate(betterThan="production"),
        gate(betterThan="prod"),
        "betterThan names a stage that this Model does not have",
        "spec.stages",
        "Model",
    ),
    Row(
        "a margin is not negative",
        gate(betterThan="production", margin=0),
        gate(betterThan="production", margin=-0.1),
        "should be greater than or equal to 0",
        "spec.stages[0].requires[0].margin",
        "Model",
    ),
    Row(
        "a margin is over a stage",
        gate(betterThan="production", margin=0.5),
        gate(threshold=0.9, margin=0.5),
        "margin says by how much to beat betterThan: move it into the threshold",
        "spec.stages[0].requires[0]",
        "Model",
    ),
    Row(
        "a goal is one of two",
        gate(threshold=0.9, goal="minimize"),
        gate(threshold=0.9, goal="max"),
        'supported values: "maximize", "minimize"',
        "spec.stages[0].requires[0].goal",
        "Model",
    ),
    Row(
        "promotion is one of two",
        {"stages": [{"name": "a", "promotion": "automatic"}]},
        {"stages": [{"name": "a", "promotion": "manual"}]},
        'supported values: "automatic", "approval"',
        "spec.stages[0].promotion",
        "Model",
    ),
    Row(
        "a version is named after its model and number",
        {"model": "digits", "version": 1},
        {"model": "digits", "version": 2},
        "a ModelVersion is named by spec.model, a dash and spec.version, such as digits-2",
        "",
        "ModelVersion",
    ),
    Row(
        "a version is named after its model",
        {},
        {"model": "letters"},
        "a ModelVersion is named by spec.model, a dash and spec.version, such as digits-2",
        "",
        "ModelVersion",
    ),
    Row(
        "a version's number is positive",
        {},
        {"version": 0},
        "should be greater than or equal to 1",
        "spec.version",
        "ModelVersion",
    ),
    Row(
        "a version has a source",
        {"source": {"uri": "mlflow-artifacts:/1/ab/artifacts/model"}},
        {"source": {}},
        "a version's source is exactly one of run, mlflowRun and uri",
        "spec.source",
        "ModelVersion",
    ),
    Row(
        "a version has one source",
        {"source": {"mlflowRun": {"id": HEX[:32], "artifactPath": "model"}}},
        {"source": {"uri": "s3://a/b", "run": {"name": "r"}}},
        "a version's source is exactly one of run, mlflowRun and uri",
        "spec.source",
        "ModelVersion",
    ),
    Row(
        "an MLflow run id is one",
        {"source": {"mlflowRun": {"id": HEX[:32], "artifactPath": "m"}}},
        {"source": {"mlflowRun": {"id": "gentle-cat-1", "artifactPath": "m"}}},
        "an MLflow run id has 32 lower-case hexadecimal digits",
        "spec.source.mlflowRun.id",
        "ModelVersion",
    ),
    Row(
        "a source URI names its store",
        {"source": {"uri": "s3://bucket/model"}},
        {"source": {"uri": "model"}},
        "a source URI names its store first",
        "spec.source.uri",
        "ModelVersion",
    ),
    *(
        Row(
            f"a source URI is a plain path: {refused}",
            {"source": {"uri": passes}},
            {"source": {"uri": refused}},
            says,
            "spec.source.uri",
            "ModelVersion",
        )
        for passes, refused, says in SOURCE_URIS
    ),
    Row(
        "a Deployment says what it serves",
        {"model": {"name": "digits", "version": 1}},
        {"model": {"name": "digits"}},
        "exactly one of version (a number) and alias",
        "spec.model",
        "Deployment",
    ),
    Row(
        "a Deployment serves one thing",
        {"model": {"name": "digits", "alias": "champion"}},
        {"model": {"name": "digits", "version": 1, "alias": "champion"}},
        "exactly one of version (a number) and alias",
        "spec.model",
        "Deployment",
    ),
    Row(
        "replicas are not negative",
        {"replicas": 0},
        {"replicas": -1},
        "should be greater than or equal to 0",
        "spec.replicas",
        "Deployment",
    ),
    Row(
        "a rollout says how",
        {"rollout": {"rolling": {}}},
        {"rollout": {}},
        "a rollout says how: set rolling: {}",
        "spec.rollout",
        "Deployment",
    ),
]

CHANGES = [
    Change(
        "a version never changes its source",
        {},
        {"description": "x", "tags": {"a": "b"}},
        {"source": {"run": {"name": "other", "artifactPath": "model"}}},
        "a version's source never changes: make another version with the next number",
        "spec.source",
        "ModelVersion",
    ),
]
