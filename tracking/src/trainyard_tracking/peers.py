"""Connections that wait, by who made them: whoever has most of them makes room for who comes."""

from typing import Protocol


class Connection(Protocol):
    """What has an address, and can be ended at once."""

    address: str

    def abort(self) -> None:
        """End it."""


class Waiting:
    """Connections on which nothing is under way."""

    def __init__(self) -> None:
        self._of: dict[str, dict[Connection, None]] = {}  # the oldest of each address first
        self.many = 0

    def add(self, one: Connection) -> None:
        """Note one that waits from now on."""
        self.discard(one)
        self._of.setdefault(one.address, {})[one] = None
        self.many += 1

    def discard(self, one: Connection) -> None:
        """Forget one, if it is here."""
        mine = self._of.get(one.address, {})
        if one in mine:
            del mine[one]
            self.many -= 1
            if not mine:
                del self._of[one.address]

    def make_room(self) -> bool:
        """End the oldest of the address that has most; tell whether there was one.

        A bound for each address would be one for everybody behind an ingress or the API server.
        """
        if not self._of:
            return False
        most = max(self._of, key=lambda address: len(self._of[address]))
        one = next(iter(self._of[most]))
        self.discard(one)
        one.abort()
        return True
