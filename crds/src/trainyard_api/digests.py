"""The digest by which content is known: `sha256:` and 64 hex digits."""

import hashlib
from collections.abc import Callable
from typing import IO, Final

_CHUNK: Final = 1 << 20


def digest_of(file: IO[bytes], took: Callable[[int], None]) -> str:
    """Read a file from where it is to its end, and return the digest of that.

    Args:
        took: Hears of each chunk how many bytes it has.
    """
    found = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        found.update(chunk)
        took(len(chunk))
    return f"sha256:{found.hexdigest()}"
