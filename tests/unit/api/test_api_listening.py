"""A pod's server is reached by whatever addresses its cluster has."""

import errno
import socket

import pytest
from builders.addresses import EACH_FAMILY, NEEDS_IPV6
from trainyard_api.listening import everywhere, written


@EACH_FAMILY
def test_it_listens_at_addresses_of_both_families(host: str) -> None:
    with (
        everywhere(0) as listening,
        socket.create_connection((host, listening.getsockname()[1]), timeout=5),
    ):
        client, peer = listening.accept()
        client.close()

    assert written(peer[0]) == host


@pytest.mark.parametrize("code", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_where_ipv6_is_switched_off_it_listens_at_the_others(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = socket.create_server

    def off(address: tuple[str, int], *, family: int = socket.AF_INET, **how: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(code, "no IPv6")
        return made(address, family=family, **how)

    monkeypatch.setattr(socket, "create_server", off)
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: code == errno.EADDRNOTAVAIL)

    with everywhere(0) as listening:
        socket.create_connection(listening.getsockname(), timeout=5).close()


@NEEDS_IPV6
def test_a_port_that_is_taken_in_one_family_is_not_taken_in_the_other() -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6) as taken,
        pytest.raises(OSError, match="in use"),
    ):
        everywhere(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("told", "plain"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("fd00::1", "fd00::1"),
        ("::ffff:0:1", "::ffff:0:1"),
    ],
)
def test_an_address_of_ipv4_is_written_as_one(told: str, plain: str) -> None:
    assert written(told) == plain
