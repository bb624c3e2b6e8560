"""Connections that go only where they may: every address of a host is checked, and the checked one is connected to.

A name is resolved once for each connection, here, and the socket is opened to the address that passed, so that no
second answer of a name server can lead it elsewhere (DNS rebinding). Above this, httpcore still speaks to the name:
the Host header, the TLS server name and the certificate are those of the host.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from ssl import SSLContext
from typing import Any

import httpcore

Resolve = Callable[[str, int], list[str]]

NAT64 = IPv6Network("64:ff9b::/96")
"""IPv6 addresses that a gateway turns into the IPv4 address in their last 32 bits (RFC 6052)."""


class PrivateAddressError(Exception):
    """A host has an address that is not of the public internet."""


def resolve(host: str, port: int) -> list[str]:
    """Return every address of a host, in the order of the system's preference."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # a label of more than 63 letters is a UnicodeError
        raise httpcore.ConnectError(f"the name {host} cannot be resolved") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Return whether an address is of the public internet: not private, loopback, link-local, multicast or reserved.

    An IPv6 address that only wraps an IPv4 one (mapped, 6to4, NAT64) is judged by the one inside.
    """
    return _is_public(ip_address(address))


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.teredo is not None or address.is_site_local:
            return False
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


class CheckedBackend(httpcore.NetworkBackend):
    """Opens connections to checked addresses, and ends every wait at `deadline` (of `time.monotonic`)."""

    def __init__(
        self, *, allow_private: bool, resolve: Resolve = resolve, inner: httpcore.NetworkBackend | None = None
    ) -> None:
        self.deadline = float("inf")
        self._allow_private = allow_private
        self._resolve = resolve
        self._inner = inner or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to the first address of a host that answers; all of them must be allowed."""
        addresses = self._resolve(host, port)
        if not self._allow_private:
            refused = next((address for address in addresses if not is_public(address)), None)
            if refused is not None:
                raise PrivateAddressError(f"{host} has the private or reserved address {refused}")
        failure: Exception = httpcore.ConnectError(f"the name {host} has no address")
        for address in addresses:
            try:
                left = remaining(self.deadline, timeout)
                stream = self._inner.connect_tcp(address, port, left, local_address, socket_options)
                return _TimedStream(stream, self)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Raise: no address of a web page names a socket of this machine."""
        raise PrivateAddressError("sockets of this machine are never read")


def remaining(deadline: float, timeout: float | None) -> float:
    """Return the seconds that one wait may take; raises a time-out where none are left."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for this request is over")
    return left if timeout is None else min(left, timeout)


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline: a server that drips bytes cannot hold it for ever."""

    def __init__(self, inner: httpcore.NetworkStream, backend: CheckedBackend) -> None:
        self._inner = inner
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, remaining(self._backend.deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, remaining(self._backend.deadline, timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = remaining(self._backend.deadline, timeout)
        return _TimedStream(self._inner.start_tls(ssl_context, server_hostname, left), self._backend)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - as httpcore declares it
        return self._inner.get_extra_info(info)
