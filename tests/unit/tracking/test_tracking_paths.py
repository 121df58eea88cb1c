"""Who may reach which file: paths of the store by verbs by who asks, on every route with a path."""

import itertools
from urllib.parse import quote

import pytest
from builders.tracking import OPERATOR, SCIENTIST, STRANGER, VIEWER, bearer
from builders.tracking_side import FILES, V2, Side
from trainyard_tracking.registry.annotations import is_file_of

VERBS = ("GET", "LIST", "PUT", "DELETE")
BEFORE = ("/api/", "/ajax-api/")


class Two:
    """A Run in `team` and one in `other`, and everybody who might ask for their files."""

    def __init__(self, world):
        self.world = world
        self.mine, self.theirs = Side(world), Side(world, namespace="other")
        ours, workspace = self.mine, "X-MLFLOW-WORKSPACE"
        self.people = {
            "the Run": ours.headers,
            "a scientist of the namespace": bearer(SCIENTIST, **{workspace: "team"}),
            "a viewer of the namespace": bearer(VIEWER, **{workspace: "team"}),
            "an administrator in default": bearer(OPERATOR, **{workspace: "default"}),
            "an administrator in another": bearer(OPERATOR, **{workspace: "other"}),
            "a stranger": bearer(STRANGER, **{workspace: "team"}),
            "nobody": {},
        }

    def ask(self, verb, path, headers, before="/api/"):
        client, root = self.world.client, FILES.replace("/api/", before)
        if verb == "LIST":
            return client.get(f"{root}?path={quote(path)}", headers=headers)
        content = b"new" if verb == "PUT" else None
        return client.request(verb, f"{root}/{quote(path)}", headers=headers, content=content)

    def files(self):
        root = self.world.objects.root / "mlflow"
        return {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def two(world):
    return Two(world)


def outside(two):
    """Give paths that nobody who acts in `team` or `default` may use, and what they are."""
    other, run = two.theirs.experiment, two.theirs.run_id
    whole = f"workspaces/other/{other}/{run}/artifacts/a.txt"
    return [
        "workspaces",
        "workspaces/",
        "./workspaces",
        "workspaces/.",
        "workspaces/other",
        f"workspaces/other/{other}",
        whole,
        f"./{whole}",
        f"x/../{whole}",
        f"workspaces/team/../other/{other}/{run}/artifacts/a.txt",
        whole.replace("/", "//"),
        whole.replace("w", "%77", 1),
        whole.replace("o", "%256f", 1),
        f"{two.mine.experiment}/../../other/{other}/{run}/artifacts/a.txt",
        f"{other}/{run}/artifacts/a.txt",
        ".",
        "..",
        "00",
        f"0{two.theirs.experiment}/{run}/artifacts/a.txt",
        "1/../..",
        "/",
        f"/{whole}",
        "not-an-experiment/x/y",
        "9" * 30 + "/x/y",
    ]


OUTSIDERS = (
    "the Run",
    "a scientist of the namespace",
    "a viewer of the namespace",
    "an administrator in default",
    "a stranger",
    "nobody",
)


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("who", OUTSIDERS)
def test_nobody_reaches_a_file_outside_of_the_namespace_they_act_in(two, who, before):
    kept, reached = two.files(), []
    for path, verb in itertools.product(outside(two), VERBS):
        answer = two.ask(verb, path, two.people[who], before)
        is_route = "ENDPOINT_NOT_FOUND" not in answer.text
        if answer.status_code not in {400, 401, 403} and is_route:
            reached.append((verb, path, answer.status_code, answer.text[:80]))

    assert reached == []
    assert two.files() == kept


INSIDE = {
    # Who: what the answers to GET, LIST, PUT and DELETE of an own file are.
    "the Run": (200, 200, 200, 200),
    "a scientist of the namespace": (200, 200, 200, 200),
    "a viewer of the namespace": (200, 200, 403, 403),
    "an administrator in default": (403, 403, 403, 403),
    "an administrator in another": (403, 403, 403, 403),
    "a stranger": (403, 403, 403, 403),
    "nobody": (401, 401, 401, 401),
}
SPELLINGS = {
    "as it is": "{}",
    "with its workspace": "workspaces/team/{}",
    "with a dot": "./{}",
    "around a corner": "x/../{}",
    "with doubled slashes": "workspaces//team/{}",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("who", INSIDE)
def test_who_has_the_right_reaches_an_own_file_however_it_is_spelled(two, who, spelling):
    path = spelling.format(f"{two.mine.experiment}/{two.mine.run_id}/artifacts/a.txt")

    codes = tuple(two.ask(verb, path, two.people[who]).status_code for verb in VERBS)

    assert codes == INSIDE[who]


def test_nothing_is_written_or_deleted_above_the_folder_of_a_run_or_model(two):
    kept = two.files()
    experiment, scientist = two.mine.experiment, two.people["a scientist of the namespace"]
    for path in (
        experiment,
        f"{experiment}/",
        f"{experiment}/{two.mine.run_id}",
        "workspaces/team",
    ):
        assert two.ask("DELETE", path, scientist).status_code == 403
        assert two.ask("PUT", path, scientist).status_code == 403

    assert two.files() == kept


BELOW = {
    "get-artifact": ("/get-artifact?run_id={run}", "path"),
    "artifacts/list": (f"{V2}/artifacts/list?run_id={{run}}", "path"),
    "a logged model's file": (
        f"{V2}/logged-models/{{model}}/artifacts/files?x=1",
        "artifact_file_path",
    ),
    "a logged model's folder": (
        f"{V2}/logged-models/{{model}}/artifacts/directories?x=1",
        "artifact_directory_path",
    ),
}


@pytest.mark.parametrize("route", BELOW)
@pytest.mark.parametrize("path", ["..", "../..", "a/../../x", "/etc/passwd", "%2e%2e/x", "a\x00b"])
@pytest.mark.parametrize("who", ["the Run", "a scientist of the namespace"])
def test_no_path_leaves_the_run_or_model_it_is_below(two, route, path, who):
    template, field = BELOW[route]
    url = template.format(run=two.mine.run_id, model=two.mine.model)

    answer = two.world.client.get(f"{url}&{field}={quote(path)}", headers=two.people[who])

    assert answer.status_code == 400
    assert "path" in answer.json()["message"]


@pytest.mark.parametrize("path", [".", "./", "x/.."])
def test_a_path_of_the_folder_itself_lists_it(two, path):
    answer = two.mine.get(f"{V2}/artifacts/list?run_id={two.mine.run_id}&path={path}")

    assert [one["path"] for one in answer.json()["files"]] == ["a.txt"]


def test_a_path_that_is_there_twice_is_refused(two):
    answer = two.mine.get(f"/get-artifact?run_id={two.mine.run_id}&path=a.txt&path=../x")

    assert answer.status_code == 400


NAMES = [
    "two words.txt",
    "100%.txt",
    "a\\b.txt",
    "plus+and&.txt",
    "größe 精度.txt",
    "in ner/a;b'c.txt",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_people_really_use_work_in_a_run(two, name):
    path = f"{two.mine.experiment}/{two.mine.run_id}/artifacts/{name}"
    headers = two.people["the Run"]

    sent = two.ask("PUT", path, headers)
    read = two.ask("GET", path, headers)
    listed = two.ask("LIST", path.rpartition("/")[0], headers).json()["files"]

    assert (sent.status_code, read.text) == (200, "new")
    assert name.rpartition("/")[2] in [one["path"] for one in listed]


def test_a_file_whose_name_a_client_cuts_off_is_not_stored_under_another(two):
    side, before = two.mine, two.files()

    # What MLflow's client makes of a file `a.txt?x=1`: it would overwrite a.txt.
    answer = side.send("PUT", f"{side.files}/{side.run_id}/artifacts/a.txt?x=1", content=b"another")

    assert answer.status_code == 400
    assert "question mark after" in answer.json()["message"]
    assert "rename the file" in answer.json()["message"]
    assert two.files() == before


@pytest.mark.parametrize(
    ("source", "path", "is_its"),
    [
        ("mlflow-artifacts:/7/run/artifacts/model", "7/run/artifacts/model/MLmodel", True),
        ("mlflow-artifacts:/workspaces/team/7/run/artifacts/m", "7/run/artifacts/m/a/b", True),
        ("mlflow-artifacts:/7/run/artifacts/model", "7/run/artifacts/model-2/MLmodel", False),
        ("mlflow-artifacts:/7/run/artifacts/model", "7/run/artifacts", False),
        ("mlflow-artifacts:/7", "7/run/artifacts/secret", False),
        ("mlflow-artifacts:/", "7/run/artifacts/secret", False),
    ],
)
def test_the_files_of_a_version_that_names_a_folder_of_the_store_are_its(source, path, is_its):
    version = {"metadata": {}, "spec": {"source": {"uri": source}}}

    assert is_file_of(version, path) is is_its
