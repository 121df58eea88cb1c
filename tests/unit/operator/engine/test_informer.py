"""What an informer takes in, and how it goes on when a watch ends, breaks or is too old."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from builders import given
from builders.stage import Stage, World, attempt_job
from trainyard_operator.engine import informer
from trainyard_operator.engine.errors import Expired, Terminal, Unavailable
from trainyard_operator.engine.informer import Informer
from trainyard_operator.engine.kube import Page
from trainyard_operator.engine.objects import JOBS
from trainyard_operator.engine.plan import Object
from trainyard_operator.engine.shell import Shell
from trainyard_operator.engine.world import Key
from trainyard_operator.names import RUNS
from trainyard_operator.runs.kind import KIND as RUN


class Served:
    """An API server that says what it is told to say, and then nothing."""

    def __init__(
        self, pages: Sequence[Page | Exception], watches: Sequence[Sequence[Object] | Exception]
    ) -> None:
        self._pages = list(pages)
        self._watches = list(watches)
        self.asked: list[str] = []

    async def pages(self, *_: str, **__: str) -> AsyncIterator[Page]:
        self.asked.append("list")
        page = self._pages.pop(0)
        if isinstance(page, Exception):
            raise page
        yield page

    async def watch(
        self, *_: str, since: int, read: object, **params: str
    ) -> AsyncIterator[Sequence[Object]]:
        self.asked.append(f"watch {since}")
        if not self._watches:
            await asyncio.Event().wait()
        events = self._watches.pop(0)
        if isinstance(events, Exception):
            raise events
        yield events


def job(name: str, version: int) -> Object:
    return attempt_job(given.run(name)) | {
        "metadata": {
            **attempt_job(given.run(name))["metadata"],
            "uid": f"uid-of-{name}",
            "resourceVersion": str(version),
        }
    }


def event(kind: str, seen: Object) -> Object:
    return {"type": kind, "object": seen}


def bookmark(version: int) -> Object:
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


def shell() -> Shell:
    stage = Stage()
    return Shell({RUNS: RUN}, World(stage.kube, stage.tracking))


async def followed(served: Any, sink: Shell, *, until: int) -> list[str]:
    """Load and follow until the server was asked so often; return what it was asked."""
    made = Informer(served, sink, JOBS, jitter=lambda: 0.0)
    await made.load()
    following = asyncio.create_task(made.follow())
    await asked(served, until)
    following.cancel()
    return list(served.asked)


async def asked(served: Any, times: int) -> None:
    async with asyncio.timeout(5):
        while len(served.asked) < times:
            await asyncio.sleep(0.001)


def run(name: str, version: int) -> Object:
    return given.run(name, metadata={"uid": f"uid-of-{name}", "resourceVersion": str(version)})


def held(sink: Shell) -> list[str]:
    return sorted(name for _, name in sink.world.cache.names(JOBS))


async def test_a_watch_goes_on_from_the_last_version_it_saw() -> None:
    served = Served(
        [Page(10, [job("a", 5)])],
        [[event("ADDED", job("b", 11)), bookmark(15)], [event("DELETED", job("a", 16))]],
    )
    sink = shell()
    asked = await followed(served, sink, until=4)

    assert asked == ["list", "watch 10", "watch 15", "watch 16"]
    assert held(sink) == ["b-a1"]


async def test_a_version_that_is_too_old_is_listed_anew_and_what_is_gone_is_dropped() -> None:
    gone = event("ERROR", {"code": 410, "message": "too old resource version"})
    served = Served([Page(10, [job("a", 5), job("b", 6)]), Page(30, [job("b", 20)])], [[gone]])
    sink = shell()
    asked = await followed(served, sink, until=4)

    assert asked == ["list", "watch 10", "list", "watch 30"]
    assert held(sink) == ["b-a1"]
    # Whose Job is gone is looked at, although nobody told more than that it is gone.
    assert Key(RUNS, "team", "a") in sink.queues[RUNS]._dirty


async def test_what_was_made_after_the_list_is_not_taken_for_gone() -> None:
    served = Served([Page(10, [])], [])
    sink = shell()
    sink.seen(JOBS, job("own-write", 12))
    await followed(served, sink, until=2)

    assert held(sink) == ["own-write-a1"]


async def test_a_server_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer, "_FIRST_PAUSE", 0.0)
    away = Unavailable("APIServerUnavailable", "it does not answer")
    served = Served([Page(10, [])], [away, [event("ADDED", job("a", 11))]])
    sink = shell()
    asked = await followed(served, sink, until=4)

    assert asked == ["list", "watch 10", "watch 10", "watch 11"]
    assert held(sink) == ["a-a1"]


@pytest.mark.parametrize(
    "refusal",
    [
        Expired("APIServerUnavailable", "410"),
        Terminal("InvalidSpec", "400"),
        KeyError("uid"),
        TypeError("null"),
    ],
    ids=["410", "400", "nonsense", "null"],
)
async def test_a_watch_that_is_refused_begins_from_a_new_list(
    monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    monkeypatch.setattr(informer, "_FIRST_PAUSE", 0.0)
    served = Served([Page(10, [job("a", 5)]), Page(30, [job("b", 20)])], [refusal])
    sink = shell()
    asked = await followed(served, sink, until=4)

    assert asked == ["list", "watch 10", "list", "watch 30"]
    assert held(sink) == ["b-a1"]


async def test_of_our_own_only_deletions_are_followed_and_each_is_told_once() -> None:
    served: Any = Served(
        [Page(10, [run("kept", 5), run("gone", 6)]), Page(30, [run("kept", 5)])],
        [
            [event("MODIFIED", run("kept", 11)), event("DELETED", run("gone", 12))],
            [event("ERROR", {"code": 410, "message": "too old"})],
        ],
    )
    sink = shell()
    made = Informer(served, sink, RUNS, jitter=lambda: 0.0)
    await made.load()
    sink.seen(RUNS, run("late", 8))
    following = asyncio.create_task(made.follow(only_deletions=True))
    await asked(served, 5)
    following.cancel()

    assert [name for _, name in sink.world.cache.names(RUNS)] == ["kept"]
    assert (sink.world.get(RUNS, "team", "kept") or {})["metadata"]["resourceVersion"] == "5"
    # What kopf tells of it afterwards is too late.
    sink.seen(RUNS, run("gone", 11))
    assert sink.world.get(RUNS, "team", "gone") is None


async def test_a_server_in_no_state_to_watch_is_not_asked_all_the_time() -> None:
    served: Any = Served([Page(n, []) for n in range(1, 99)], [[] for _ in range(99)])
    following = asyncio.create_task(Informer(served, shell(), JOBS, jitter=lambda: 0.0).follow())
    await asyncio.sleep(0.3)
    following.cancel()

    assert served.asked == ["list", "watch 1"]


async def test_a_list_that_takes_long_is_no_watch_that_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(informer, "_SHORT", 0.02)

    class Slow(Served):
        async def pages(self, *names: str, **params: str) -> AsyncIterator[Page]:
            await asyncio.sleep(0.03)
            async for page in super().pages(*names, **params):
                yield page

    refused = Terminal("InvalidSpec", "no watch")
    served: Any = Slow([Page(n, []) for n in range(1, 99)], [refused] * 99)
    following = asyncio.create_task(Informer(served, shell(), JOBS, jitter=lambda: 0.0).follow())
    await asyncio.sleep(0.3)
    following.cancel()

    assert served.asked == ["list", "watch 1"]


async def test_a_watch_that_is_cut_again_and_again_goes_on_at_once_if_it_tells_something() -> None:
    cut = [event("ADDED", job("a", 20))], [event("ADDED", job("b", 21))], [bookmark(22)]
    asked_of = await followed(Served([Page(10, [])], cut), shell(), until=5)

    assert asked_of == ["list", "watch 10", "watch 20", "watch 21", "watch 22"]


async def test_a_list_that_is_refused_while_loading_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = Unavailable("APIServerUnavailable", "429", after=timedelta(milliseconds=1))
    served: Any = Served([busy, busy, Page(10, [job("a", 5)])], [])
    sink = shell()
    await Informer(served, sink, JOBS, jitter=lambda: 0.0).load_surely()

    assert held(sink) == ["a-a1"]


async def test_while_the_caches_are_filled_nobody_is_woken() -> None:
    served: Any = Served([Page(10, [job("a", 5)])], [])
    sink = shell()
    sink.is_loading = True
    await Informer(served, sink, JOBS).load()

    assert held(sink) == ["a-a1"]
    assert len(sink.queues[RUNS]) == 0
