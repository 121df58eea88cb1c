"""What the tests of logs share: stamped lines, and a stream of given pieces."""

import asyncio


def stamped(*lines: str, begin: int = 0, end: str = "\n") -> bytes:
    """Return lines as a node gives them, a second apart from 12:00 on."""
    text = "\n".join(f"2026-11-24T12:00:{n:02d}.5Z {line}" for n, line in enumerate(lines, begin))
    return (text + end).encode()


class Stream:
    """A response's content in given pieces; an exception is raised where it stands."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = list(pieces)

    async def readany(self) -> bytes:
        """Return the next piece, and nothing at the end."""
        await asyncio.sleep(0)
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece
