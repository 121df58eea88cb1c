"""This machine's own addresses, of the families that it has."""

import socket

import pytest


def has_ipv6() -> bool:
    """Tell whether this machine has an address of IPv6 to itself."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


NEEDS_IPV6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
LOOPBACKS = ["127.0.0.1", pytest.param("::1", marks=NEEDS_IPV6)]
EACH_FAMILY = pytest.mark.parametrize("host", LOOPBACKS)
