"""Doing several transfers beside each other, and none for long after the first that failed."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

_PARALLEL = 4
T = TypeVar("T")


def each(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Make all calls, a few at a time, and return what they return.

    Raises:
        Exception: The first of any; what is under way beside it is not waited for.
    """
    pool = ThreadPoolExecutor(_PARALLEL)
    going = [pool.submit(call) for call in calls]
    try:
        wait(going, return_when=FIRST_EXCEPTION)
        failed = (one for one in going if one.done() and not one.cancelled() and one.exception())
        for one in failed:
            one.result()
        return [one.result() for one in going]
    finally:
        # What is under way beside a failure may take hours, and changes nothing any more.
        pool.shutdown(wait=False, cancel_futures=True)
