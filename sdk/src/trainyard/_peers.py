"""Who is at the other end of a connection on this machine: Linux lists the user of each socket."""

import os
import socket
import sys
from pathlib import Path

Address = tuple[str, int]

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED = "01"
# Closed for sending only, or altogether: of the latter the kernel says that it is root's.
_CLOSING = ("04", "05")
_MAPPED = "0000000000000000FFFF0000"


def tells() -> bool:
    """Tell whether this machine says whose a connection is."""
    return _TABLES[0].is_file() and hasattr(os, "getuid")


def is_own(peer: Address, here: Address) -> bool:
    """Tell whether the program at *peer*, connected to *here*, is of our own user."""
    for table in _TABLES:
        try:
            found = owner(table.read_text(encoding="ascii"), peer, here)
        except OSError:
            continue
        if found is not None:
            return found == os.getuid()
    return False


def owner(table: str, peer: Address, here: Address) -> int | None:
    """Find the user of the open connection from *peer* to *here* in a table of /proc/net."""
    ends = [(_written(*peer), _written(*here))]
    ends.append((_MAPPED + ends[0][0], _MAPPED + ends[0][1]))
    for line in table.splitlines()[1:]:
        fields = line.split()
        if (fields[1], fields[2]) not in ends:
            continue
        user = int(fields[7])
        if fields[3] == _ESTABLISHED or (user and fields[3] in _CLOSING):
            return user
    return None


def _written(host: str, port: int) -> str:
    """Write an IPv4 address as the kernel does: as a number in this machine's byte order."""
    number = int.from_bytes(socket.inet_aton(host), sys.byteorder)
    return f"{number:08X}:{port:04X}"
