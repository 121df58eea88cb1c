"""Choose the number of a new model version: a number is never used twice. Pure."""

from collections.abc import Iterable


def next_version(existing: Iterable[int], retired: int) -> int:
    """Return one more than every number that exists or ever existed.

    Args:
        existing: Numbers of the versions that exist now, those being deleted included.
        retired: The highest number whose version was deleted; 0 if none was.
    """
    return max(0, retired, *existing) + 1
