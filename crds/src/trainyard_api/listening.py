"""Where the servers of pods listen: at every address, of IPv6 and of IPv4, by one socket.

"0.0.0.0" is IPv4 alone, and a pod of an IPv6 cluster has no such address; "::" as asyncio takes it
is IPv6 alone. Standard library only.
"""

import errno
import socket
from typing import Final

_MAPPED: Final = "::ffff:"


def everywhere(port: int, *, backlog: int = 1024) -> socket.socket:
    """Return a socket that listens at every address of this machine.

    Args:
        port: 0 for a free one.
        backlog: How many connections may wait to be taken.

    Raises:
        OSError: The port is somebody else's, in either family, or not for us.
    """
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=True
            )
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise
            # A kernel may know IPv6 and let nobody use it.
    return socket.create_server(("", port), backlog=backlog)


def written(address: str) -> str:
    """Return an address as its own family writes it.

    To a socket of both families 10.0.0.1 is ::ffff:10.0.0.1, which no list of addresses says.
    """
    plain = address.removeprefix(_MAPPED)
    return plain if "." in plain else address
