"""The small parts by themselves: settings, the watch cache, the headline metric, verified keys."""

import pytest
from builders.tracking import FakeKube, certificate
from trainyard_tracking.auth.call import read_body
from trainyard_tracking.errors import BadSettings, Busy, Refused
from trainyard_tracking.kube import KubeDown, KubeError
from trainyard_tracking.mlflow_env import mlflow_environment
from trainyard_tracking.settings import read_settings
from trainyard_tracking.summary import headline
from trainyard_tracking.tokens import read_public_key
from trainyard_tracking.watching import Cache, Watcher

ENV = {
    "TRAINYARD_OBJECT_STORE_ENDPOINT": "http://minio:9000",
    "TRAINYARD_VERIFY_CERT_FILE": "/keys/tls.crt",
}


def thing(name: str, revision: int, **more):
    return {
        "metadata": {"namespace": "team", "name": name, "resourceVersion": str(revision)},
        **more,
    }


def test_little_must_be_set():
    settings = read_settings(ENV)

    assert settings.object_store.url == "http://minio:9000"
    assert settings.database_url == "sqlite:////data/mlflow.db"
    assert settings.port == 5000


@pytest.mark.parametrize("name", sorted(ENV))
def test_a_missing_setting_is_named(name):
    with pytest.raises(BadSettings, match=name):
        read_settings({**ENV, name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRAINYARD_PORT", "99999"),
        ("TRAINYARD_OBJECT_STORE_SECURE", "maybe"),
        ("TRAINYARD_OBJECT_STORE_ADDRESSING", "host"),
        ("TRAINYARD_OBJECT_STORE_ACCESS_KEY", "without-its-secret"),
        ("TRAINYARD_LARGEST_FILE", "10GB"),
        ("TRAINYARD_LARGEST_FILE", "Gi"),
        ("TRAINYARD_LARGEST_FILE", "1.5Gi"),
        ("TRAINYARD_QUERY_SECONDS", "0"),
        ("TRAINYARD_QUERY_SECONDS", "30s"),
        ("TRAINYARD_QUERY_SECONDS", "3601"),
    ],
)
def test_a_bad_setting_is_named(name, value):
    with pytest.raises(BadSettings, match=name):
        read_settings({**ENV, "TRAINYARD_OBJECT_STORE_ENDPOINT": "minio:9000", name: value})


def test_the_largest_file_is_written_as_kubernetes_writes_sizes():
    assert read_settings({**ENV, "TRAINYARD_LARGEST_FILE": "20Gi"}).largest_file == 20 << 30
    assert read_settings({**ENV, "TRAINYARD_LARGEST_FILE": "17"}).largest_file == 17


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_postgresql_gets_the_driver_that_is_here(scheme):
    rest = "ty:p%40ss@db.example.org:5433/mlflow?sslmode=require"
    settings = read_settings({**ENV, "TRAINYARD_DATABASE_URL": f"{scheme}://{rest}\n"})

    assert settings.database_url.startswith(f"postgresql+psycopg://{rest}&connect_timeout=10&")


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ("", "?connect_timeout=10&"),
        ("?connect_timeout=3", "?connect_timeout=3&"),
    ],
)
def test_a_postgresql_that_is_dead_is_noticed_in_seconds_unless_somebody_says_otherwise(
    given, limits
):
    url = f"postgresql://u:p@h/d{given}"
    settings = read_settings({**ENV, "TRAINYARD_DATABASE_URL": url})

    rest = "keepalives_idle=30&tcp_user_timeout=30000&client_encoding=utf8"
    assert settings.database_url == f"postgresql+psycopg://u:p@h/d{limits}{rest}"


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "postgresql+psycopg2://u:secret@h/d"])
def test_another_database_is_refused_without_its_password(url):
    with pytest.raises(BadSettings, match="TRAINYARD_DATABASE_URL begins with") as refusal:
        read_settings({**ENV, "TRAINYARD_DATABASE_URL": url})
    assert "secret" not in str(refusal.value)


def test_a_database_that_is_no_url_is_refused_without_its_text():
    with pytest.raises(BadSettings, match="is no URL") as refusal:
        read_settings({**ENV, "TRAINYARD_DATABASE_URL": "host=h password=secret"})
    assert "secret" not in str(refusal.value)


def test_the_origins_of_the_ui_are_told_to_mlflow():
    told = "https://mlflow.example.org,http://mlflow.example.org"
    environment = mlflow_environment(read_settings({**ENV, "TRAINYARD_UI_ORIGINS": told}))

    assert environment["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == told


@pytest.mark.parametrize("bad", ["*", "mlflow.example.org", "https://*.example.org", "https://a/b"])
def test_an_origin_is_refused_that_is_none_or_opens_more_than_one(bad):
    with pytest.raises(BadSettings, match="TRAINYARD_UI_ORIGINS"):
        read_settings({**ENV, "TRAINYARD_UI_ORIGINS": f"https://a.example.org,{bad}"})


def test_the_scheme_of_the_endpoint_decides_about_tls():
    env = {**ENV, "TRAINYARD_OBJECT_STORE_ENDPOINT": "https://s3.example"}

    assert read_settings(env).object_store.secure


def test_the_key_comes_out_of_a_certificate(tmp_path):
    path = tmp_path / "tls.crt"
    path.write_bytes(certificate())

    assert read_public_key(path).public_bytes_raw()


def test_what_is_no_certificate_is_refused_by_its_path(tmp_path):
    path = tmp_path / "tls.crt"
    path.write_text("no certificate")

    with pytest.raises(BadSettings, match=r"tls\.crt"):
        read_public_key(path)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        pytest.param([], None, id="nothing was logged"),
        pytest.param(["training_score", "val_f1"], "val_f1", id="one measured on held-out data"),
        pytest.param(["training_score", "loss"], "loss", id="one that code logged by itself"),
        pytest.param(["system/cpu", "training_score"], "training_score", id="what there is"),
        pytest.param(["loss", "test_f1", "val_f1"], "test_f1", id="the first that was logged"),
    ],
)
def test_the_headline_is(names, chosen):
    assert headline(names) == chosen


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"[]", id="is a list"),
        pytest.param(b'"{}"', id="is JSON in JSON"),
        pytest.param(b"{", id="is cut off"),
        pytest.param(b'{"run_id": "a", "runId": "b"}', id="says a field in two spellings"),
    ],
)
def test_a_body_is_refused_that(raw):
    with pytest.raises(Refused):
        read_body(raw)


def filled(*things) -> Cache:
    cache = Cache("models")
    cache.replace([], 0)
    for one in things:
        cache.put(one)
    return cache


@pytest.mark.parametrize(
    "read", [lambda cache: cache.get("team", "digits"), lambda cache: cache.within("team")]
)
def test_a_cache_that_was_never_filled_says_so_instead_of_that_nothing_is_there(read):
    cache = Cache("models")
    cache.put(thing("fresh", 9))

    with pytest.raises(Busy, match="models of the cluster are not read yet") as told:
        read(cache)
    assert told.value.headers == {"Retry-After": "5"}
    cache.replace([], 5)
    assert cache.within("team") == [thing("fresh", 9)]


def test_an_older_event_does_not_undo_what_was_written():
    cache = filled(thing("digits", 7, spec="new"))
    cache.put(thing("digits", 5, spec="old"))

    assert cache.get("team", "digits")["spec"] == "new"


def test_objects_are_found_by_their_keys_as_these_change():
    cache = Cache("models", keys=lambda one: one["keys"])
    cache.replace([], 0)
    cache.put(thing("digits", 1, keys=["a", "b"]))
    cache.put(thing("letters", 2, keys=["b"]))
    cache.put(thing("digits", 3, keys=["c"]))

    def found(key):
        return [one["metadata"]["name"] for one in cache.by("team", key)]

    assert (found("a"), found("b"), found("c")) == ([], ["letters"], ["digits"])
    assert cache.by("other", "c") == []
    cache.remove(thing("digits", 4))
    assert found("c") == []
    cache.replace([thing("digits", 5, keys=["d"])], at=9)
    assert (found("b"), found("d")) == ([], ["digits"])


def test_what_is_gone_is_not_remembered_for_ever():
    cache = Cache("models")
    for number in range(30_000):
        cache.remove(thing(f"m{number}", number))

    assert len(cache._gone) <= 10_000


def test_a_late_event_does_not_bring_back_what_was_deleted():
    cache = filled(thing("digits", 7))
    cache.remove(thing("digits", 8))
    cache.put(thing("digits", 6))

    assert cache.get("team", "digits") is None


def test_a_list_drops_what_is_gone_and_keeps_what_was_written_since():
    cache = filled(thing("gone", 3), thing("fresh", 9))
    cache.replace([thing("there", 4)], 5)

    assert sorted(one["metadata"]["name"] for one in cache.within("team")) == ["fresh", "there"]


class Streams(FakeKube):
    """An API server whose watches end as they are told."""

    def __init__(self, *streams):
        super().__init__()
        self.streams = list(streams)
        self.asked = []
        self.waited = []
        self.time = 0.0

    def watch(self, path, resource_version):
        self.asked.append(resource_version)
        if not self.streams:
            self.watcher.stop()
            return
        for event in self.streams.pop(0):
            if isinstance(event, Exception):
                raise event
            if isinstance(event, float):
                self.time += event
            else:
                yield event


def watched(*streams) -> Streams:
    kube = Streams(*streams)
    kube.watcher = Watcher(kube, Cache("models"), clock=lambda: kube.time)
    # Stopping is the only wait here: nothing sleeps.
    kube.watcher._stop.wait = kube.waited.append
    kube.watcher._run()
    return kube


def test_a_watch_goes_on_where_it_ended():
    kube = watched([{"type": "ADDED", "object": thing("a", 101)}], [])

    assert kube.asked[:2] == ["100", "101"]
    assert kube.watcher.cache.get("team", "a")


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param([{"type": "ERROR", "object": {"code": 410}}], id="its revision is too old"),
        pytest.param([KubeError(410, "Expired", "too old")], id="it is refused"),
        pytest.param([ValueError("half a line")], id="it sends nonsense"),
    ],
)
def test_a_watch_begins_anew_when(broken):
    kube = watched([{"type": "ADDED", "object": thing("a", 150)}], broken, [])

    assert kube.asked[1:3] == ["150", "100"]


TOO_OLD = {"type": "ERROR", "object": {"code": 410}}


@pytest.mark.parametrize("stream", [[], [TOO_OLD], [KubeDown("no")], [4.9]])
def test_a_watch_that_ends_at_once_again_and_again_is_begun_ever_more_seldom(stream):
    kube = watched(*[stream] * 7)

    assert kube.waited[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param([{"type": "ADDED", "object": thing("a", 150)}], id="it told something"),
        pytest.param([{"type": "BOOKMARK", "object": thing("", 150)}], id="it told how far it is"),
        pytest.param([5.0], id="it lasted"),
        pytest.param([5.0, TOO_OLD], id="it lasted until it was too old"),
    ],
)
def test_after_a_watch_that_was_one_the_next_begins_at_once(stream):
    kube = watched([], stream)

    # The first and the last ended at once.
    assert kube.waited == [0.5, 0.5]
