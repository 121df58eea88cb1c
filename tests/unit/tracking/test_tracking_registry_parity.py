"""Our registry answers as MLflow's own store does, call by call, but for a list with reasons."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from builders.registry_parity import Call, Clock, call, compared, new_model, new_version
from builders.tracking import SCIENTIST
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.entities.model_registry import RegisteredModelTag as Tag
from mlflow.server.handlers import _get_model_registry_store
from mlflow.store.model_registry import sqlalchemy_store
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.workspace_context import ServerWorkspaceContext
from trainyard_tracking.auth.caller import CALLER
from trainyard_tracking.identity import Person

DIFFERENCES = Path(__file__).parents[3] / "docs/reference/registry.md"
TOWNS = itertools.count(1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('stock')}/mlflow.db"


@pytest.fixture
def stock(database, clock, monkeypatch):
    monkeypatch.setattr(sqlalchemy_store, "get_current_time_millis", clock.millis)
    store = SqlAlchemyStore(database)
    yield store
    for model in store.search_registered_models(max_results=1000):
        store.delete_registered_model(model.name)


@pytest.fixture
def ours(world, clock, monkeypatch):
    """Our store in a namespace of the test alone, asked by a scientist."""
    store = _get_model_registry_store()
    writes = replace(store.writes, now=lambda: clock.now)
    monkeypatch.setattr(store, "writes", writes)
    monkeypatch.setattr(store, "pointers", replace(store.pointers, writes=writes))
    asking = CALLER.set(Person("scientist", "", (), (), SCIENTIST))
    with ServerWorkspaceContext(f"town-{next(TOWNS)}"):
        yield store
    CALLER.reset(asking)


def expect_the_same(calls: list[Call], ours, stock, clock) -> None:
    differ = [
        (str(asked), mine, theirs)
        for asked, mine, theirs in compared(calls, ours, stock, clock)
        if mine != theirs
    ]
    assert differ == []


STAGES = "transition_model_version_stage"


@dataclass(frozen=True)
class Different:
    """A call that is answered otherwise on purpose: where that is told, and words of both."""

    documented: str
    call: Call
    theirs: str
    ours: str


SAME = {
    "a model is made, described, tagged and found": [
        new_model("a", team="x"),
        new_model("a"),
        call("get_registered_model", "a"),
        call("update_registered_model", "a", "good"),
        call("set_registered_model_tag", "a", Tag("k/~", "v")),
        call("set_registered_model_tag", "a", Tag("mlflow.note", "")),
        call("delete_registered_model_tag", "a", "team"),
        call("delete_registered_model_tag", "a", "nothing"),
        call("get_registered_model", "a"),
        call("get_registered_model", "b"),
        call("get_registered_model", ""),
        call("update_registered_model", "b", "x"),
        call("set_registered_model_tag", "b", Tag("k", "v")),
        call("delete_registered_model", "b"),
        call("get_model_version", "b", "1"),
        call("get_latest_versions", "b"),
    ],
    "versions count, and change by themselves": [
        new_model("a"),
        *(new_version("a", f"s3://models/{n}", n=str(n)) for n in range(12)),
        call("get_model_version", "a", "10"),
        call("get_model_version", "a", "13"),
        call("get_model_version", "a", "x"),
        call("update_model_version", "a", "3", "three"),
        call("set_model_version_tag", "a", "4", ModelVersionTag("k", "x" * 5000)),
        call("delete_model_version_tag", "a", "4", "n"),
        call("delete_model_version_tag", "a", "4", "n"),
        call("get_model_version", "a", "4"),
        call("delete_model_version", "a", "12"),
        call("delete_model_version", "a", "12"),
        call("get_model_version", "a", "12"),
        call("get_registered_model", "a"),
        call("search_model_versions", "", 100),
        new_version("b"),
        call("get_latest_versions", "a", ["None"]),
        call("get_latest_versions", "a", ["Foo"]),
    ],
    "aliases point, move and go": [
        new_model("a"),
        new_version("a"),
        new_version("a"),
        call("set_registered_model_alias", "a", "best", "1"),
        call("set_registered_model_alias", "a", "other", "1"),
        call("set_registered_model_alias", "a", "best", "2"),
        call("get_model_version_by_alias", "a", "best"),
        call("get_model_version", "a", "1"),
        call("get_model_version_by_alias", "a", "latest"),
        call("get_model_version_by_alias", "a", "nobody"),
        call("get_model_version_by_alias", "b", "best"),
        call("set_registered_model_alias", "a", "best", "9"),
        call("set_registered_model_alias", "a", "latest", "1"),
        call("set_registered_model_alias", "a", "v1", "1"),
        call("set_registered_model_alias", "a", "a b", "1"),
        call("set_registered_model_alias", "a", "x" * 255, "1"),
        call("set_registered_model_alias", "a", "x" * 256, "1"),
        call("delete_registered_model_alias", "a", "other"),
        call("delete_registered_model_alias", "a", "other"),
        call("delete_model_version", "a", "2"),
        call("get_registered_model", "a"),
        call("get_model_version_by_alias", "a", "best"),
    ],
    "stages are moved to, and archive what they held": [
        new_model("a"),
        *[new_version("a")] * 4,
        call(STAGES, "a", "1", "Production", False),
        call(STAGES, "a", "2", "production", False),
        call("get_latest_versions", "a", ["Production"]),
        call("get_latest_versions", "a"),
        call(STAGES, "a", "3", "Production", True),
        call("get_model_version", "a", "1"),
        call("get_model_version", "a", "2"),
        call(STAGES, "a", "3", "Staging", False),
        call(STAGES, "a", "3", "None", False),
        call(STAGES, "a", "4", "Archived", False),
        call(STAGES, "a", "9", "Staging", False),
        call("get_registered_model", "a"),
        call("delete_model_version", "a", "4"),
        call("get_latest_versions", "a", ["Archived"]),
        call("search_model_versions", "name = 'a'", 10),
    ],
    "models are renamed": [
        new_model("a"),
        new_model("b"),
        new_version("a"),
        call("rename_registered_model", "nobody", "c"),
        call("rename_registered_model", "a", ""),
        call("rename_registered_model", "a", "a"),
        call("set_registered_model_alias", "a", "best", "1"),
        call("rename_registered_model", "a", "A name (with more)"),
        call("get_registered_model", "a"),
        call("get_registered_model", "A name (with more)"),
        call("get_model_version_by_alias", "A name (with more)", "best"),
        new_model("a"),
        new_version("a"),
        new_version("A name (with more)"),
        call("search_registered_models", None, 10),
    ],
}
SEARCHES = [
    *(
        call("search_model_versions", text, 100)
        for text in (
            "name = 'a'",
            "name != 'a'",
            "name LIKE '%a%'",
            "name ILIKE 'A%'",
            "name IN ('a', 'c')",
            "version_number = 2",
            "version_number != 2",
            "version_number > 9",
            "version_number >= 10 AND name = 'a'",
            "version_number < 3",
            "version_number = 'x'",
            "version_number LIKE '1%'",
            "run_id = 'none'",
            "source_path = 's3://models/3'",
            "source_path LIKE 's3://models/1%'",
            "tags.kind = 'odd'",
            "tags.kind != 'odd'",
            "tags.kind LIKE 'e%' AND tags.n = '2'",
            "tags.nothing = 'odd'",
            "foo = 'bar'",
            "name ? 'a'",
            "name = 'a' OR name = 'c'",
            "creation_timestamp > 5",
        )
    ),
    *(
        call("search_model_versions", "", 100, [order])
        for order in (
            "version_number DESC",
            "version_number ASC",
            "name DESC",
            "creation_timestamp ASC",
            "last_updated_timestamp DESC",
            "foo",
            "version_number SIDEWAYS",
        )
    ),
    call("search_model_versions", "", 5),
    call("search_model_versions", "", 5, ["version_number DESC"], "eyJvZmZzZXQiOiA1fQ=="),
    call("search_model_versions", "", 5, None, "rubbish"),
    call("search_model_versions", "", 0),
    call("search_model_versions", "", 200_001),
    *(
        call("search_registered_models", text, 100)
        for text in (
            None,
            "",
            "name = 'a'",
            "name != 'a'",
            "name LIKE '_'",
            "name ILIKE 'B'",
            "name IN ('a', 'b')",
            "tags.team = 'x'",
            "tags.team != 'x'",
            "tags.team = 'x' AND tags.team LIKE 'x%'",
            "tags.`team` = 'y'",
            "tags.`mlflow.prompt.is_prompt` = 'false'",
            "version = '1'",
            "description = 'x'",
        )
    ),
    *(
        call("search_registered_models", None, 100, [order])
        for order in (
            "timestamp DESC",
            "timestamp ASC",
            "last_updated_timestamp DESC",
            "name DESC",
            "creation_timestamp DESC",
            "foo",
        )
    ),
    call("search_registered_models", None, 2),
    call("search_registered_models", None, 2, None, "eyJvZmZzZXQiOiAyfQ=="),
    call("search_registered_models", None, 1001),
]


@pytest.mark.parametrize("calls", SAME.values(), ids=list(SAME))
def test_ours_answers_as_mlflows_own_where(calls, ours, stock, clock):
    expect_the_same(calls, ours, stock, clock)


def test_ours_finds_what_mlflows_own_finds(ours, stock, clock):
    made = [
        new_model("b", team="y"),
        new_model("a", team="x"),
        new_model("c", team="x", more="z"),
        *(
            new_version("a", f"s3://models/{n}", n=str(n), kind="odd" if n % 2 else "even")
            for n in range(12)
        ),
        new_version("c", kind="odd"),
        call("update_model_version", "a", "2", "newest"),
        call("update_registered_model", "b", "newest"),
    ]

    expect_the_same([*made, *SEARCHES], ours, stock, clock)


TWO = [new_model("a"), new_version("a"), new_model("b")]
ERROR = "INTERNAL_ERROR", "INVALID_PARAMETER_VALUE"
DIFFERENT = [
    Different(
        "archiving what a stage held, by a move to `None` or `Archived`",
        call(STAGES, "a", "1", "Archived", True),
        *ERROR,
    ),
    Different(
        "the same field twice in `order_by`",
        call("search_model_versions", "", 10, ["name", "name DESC"]),
        *ERROR,
    ),
    Different(
        "the same field twice in `order_by`",
        call("search_registered_models", "", 10, ["timestamp", "last_updated_timestamp"]),
        *ERROR,
    ),
    Different(
        "a stage that does not exist",
        call(STAGES, "a", "1", "Foo", False),
        "Invalid Model Version stage: Foo. Value must be one of",
        "add it to spec.stages",
    ),
    Different(
        "renaming to a name that is taken",
        call("rename_registered_model", "a", "b"),
        "IntegrityError",
        "Registered Model (name=b) already exists.",
    ),
    Different(
        "the tag `mlflow.prompt.is_prompt`, set on a model later",
        call("set_registered_model_tag", "a", Tag("mlflow.prompt.is_prompt", "true")),
        "None",
        "INVALID_STATE",
    ),
]


@pytest.mark.parametrize("row", DIFFERENT, ids=lambda row: str(row.call))
def test_what_differs_is_documented_with_its_reason(row, ours, stock, clock):
    *_, (_, mine, theirs) = compared([*TWO, row.call], ours, stock, clock)

    assert row.theirs in str(theirs)
    assert row.ours in str(mine)
    assert f"| {row.documented} |" in DIFFERENCES.read_text("utf-8")
