"""The work queue: never two at once, never lost, never early."""

import asyncio
from datetime import timedelta

import pytest
from trainyard_operator.engine.queue import BASE, CEILING, SHARE, WorkQueue


def queue() -> WorkQueue[str]:
    return WorkQueue(jitter=lambda: 0.0)


async def test_a_key_added_twice_is_handed_out_once() -> None:
    q = queue()
    q.add("a")
    q.add("a")

    assert await q.get() == "a"
    assert len(q) == 0


async def test_a_key_added_while_it_is_worked_on_is_handed_out_afterwards() -> None:
    q = queue()
    q.add("a")
    await q.get()
    q.add("a")

    assert len(q) == 0
    q.done("a")
    assert await q.get() == "a"


async def test_a_key_is_not_handed_out_again_if_nothing_happened() -> None:
    q = queue()
    q.add("a")
    await q.get()
    q.done("a")

    assert len(q) == 0
    q.add("a")
    assert len(q) == 1


async def test_who_waits_gets_the_key() -> None:
    q = queue()
    waiting = asyncio.create_task(q.get())
    await asyncio.sleep(0)
    q.add("a")

    assert await waiting == "a"


async def test_of_several_delays_the_earliest_counts() -> None:
    q = queue()
    q.add_after("a", timedelta(hours=1))
    q.add_after("a", timedelta(milliseconds=1))
    q.add_after("a", timedelta(hours=2))

    async with asyncio.timeout(1):
        assert await q.get() == "a"
    q.close()


async def test_news_that_settled_goes_before_what_waits_anyway() -> None:
    q = queue()
    q.add_after("a", timedelta(milliseconds=1), is_news=True)
    await asyncio.sleep(0.01)
    q.add("b", is_news=False)
    q.add_after("c", timedelta(milliseconds=1), is_news=True)
    await asyncio.sleep(0.01)

    assert [await q.get() for _ in range(3)] == ["a", "c", "b"]


async def test_a_look_in_between_takes_what_was_to_settle_with_it() -> None:
    q = queue()
    q.add_after("a", timedelta(milliseconds=5), is_news=True)
    q.add("a")
    assert await q.get() == "a"
    q.done("a")
    await asyncio.sleep(0.02)

    assert len(q) == 0


async def test_no_delay_is_now() -> None:
    q = queue()
    q.add_after("a", timedelta(0))

    assert len(q) == 1


async def test_failures_double_the_delay_until_one_success() -> None:
    q = queue()

    assert [q.add_failed("a") for _ in range(3)] == [BASE, BASE * 2, BASE * 4]
    q.forget("a")
    assert q.add_failed("a") == BASE
    q.close()


async def test_a_delay_has_a_ceiling() -> None:
    q = queue()
    delays = [q.add_failed("a") for _ in range(40)]

    assert delays[-1] == CEILING
    q.close()


async def test_a_closed_queue_hands_out_what_waits_and_then_nothing() -> None:
    q = queue()
    q.add("a")
    q.close()
    q.add("b")
    q.add_after("c", timedelta(0))

    assert [await q.get(), await q.get()] == ["a", None]


async def test_closing_wakes_who_waits() -> None:
    q = queue()
    waiting = asyncio.create_task(q.get())
    await asyncio.sleep(0)
    q.close()

    assert await waiting is None


@pytest.mark.parametrize("workers", [1, 4])
async def test_no_key_is_worked_on_twice_at_once(workers: int) -> None:
    q = queue()
    at_work: set[str] = set()
    done: list[str] = []

    async def work() -> None:
        while (key := await q.get()) is not None:
            assert key not in at_work
            at_work.add(key)
            await asyncio.sleep(0)
            at_work.discard(key)
            done.append(key)
            q.done(key)

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    for n in range(60):
        q.add(f"key{n % 7}")
        await asyncio.sleep(0)
    q.close()
    await asyncio.gather(*tasks)

    assert set(done) == {f"key{n}" for n in range(7)}


async def test_an_abandoned_queue_hands_out_nothing_more() -> None:
    q = queue()
    q.add("a")
    q.add("b")
    await q.get()
    q.add("a")
    q.abandon()
    q.done("a")

    assert await q.get() is None


async def test_one_key_wakes_one_worker() -> None:
    q = queue()
    waiting = [asyncio.create_task(q.get()) for _ in range(3)]
    await asyncio.sleep(0)
    q.add("a")

    assert len(q._getters) == 2
    q.close()
    assert await asyncio.gather(*waiting) == ["a", None, None]


async def test_a_worker_that_is_cancelled_at_its_turn_passes_it_on() -> None:
    q = queue()
    first, second = (asyncio.create_task(q.get()) for _ in range(2))
    await asyncio.sleep(0)
    q.add("a")
    first.cancel()

    assert await second == "a"


async def test_what_is_news_goes_before_what_is_looked_at_once_more() -> None:
    q = queue()
    for n in range(100):
        q.add(f"again-{n}", is_news=False)
    q.add("new")

    assert await q.get() == "new"


async def test_news_never_keep_the_others_waiting_for_ever() -> None:
    q = queue()
    q.add("again", is_news=False)
    for n in range(100):
        q.add(f"new-{n}")

    assert "again" in [await q.get() for _ in range(SHARE)]


async def test_a_key_that_becomes_news_is_handed_out_once() -> None:
    q = queue()
    for key in ("a", "b"):
        q.add(key, is_news=False)
    q.add("b")

    assert len(q) == 2
    assert [await q.get(), await q.get()] == ["b", "a"]
    assert len(q) == 0
    q.close()
    assert await q.get() is None


async def test_a_thousand_of_one_group_never_hold_up_one_of_another() -> None:
    q: WorkQueue[tuple[str, int]] = WorkQueue(group=lambda key: key[0])
    for number in range(1000):
        q.add(("crowd", number))
    q.add(("alone", 0))

    assert [await q.get() for _ in range(4)] == [
        ("crowd", 0),
        ("alone", 0),
        ("crowd", 1),
        ("crowd", 2),
    ]


async def test_three_groups_take_turns() -> None:
    q: WorkQueue[tuple[str, int]] = WorkQueue(group=lambda key: key[0])
    for key in [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("c", 1)]:
        q.add(key)

    taken = [await q.get() for _ in range(5)]

    assert taken == [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("b", 2)]


async def test_what_was_passed_over_costs_its_group_no_turn() -> None:
    q: WorkQueue[tuple[str, int]] = WorkQueue(group=lambda key: key[0])
    for number in range(100):  # a timer rings, and an event comes before its turn
        q.add(("a", number), is_news=False)
        q.add(("a", number))
    for _ in range(100):
        key = await q.get()
        assert key is not None
        q.done(key)
    for number in range(5):
        q.add(("b", number), is_news=False)
    q.add(("a", 100), is_news=False)

    assert ("a", 100) in [await q.get() for _ in range(2)]
