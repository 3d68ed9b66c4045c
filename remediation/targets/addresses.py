"""Names to addresses, and which of them are no place to send a request to."""

from __future__ import annotations

import ipaddress
import socket
import threading

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation.exceptions import ConfigurationError, EffectNotStarted
from remediation.targets.wire import Deadline

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

REFUSED = [
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # "this host": another way to write loopback
        "169.254.0.0/16",  # link-local: the metadata service of most clouds, which hands out credentials
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "100.100.100.200/32",  # metadata of Alibaba Cloud
        "168.63.129.16/32",  # metadata of Azure
        "::/128",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::254/128",  # metadata of AWS over IPv6
        "fd20:ce::254/128",  # metadata of Google Cloud over IPv6
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def resolve(host: str, port: int, deadline: Deadline) -> list[str]:
    """The addresses of a host, IPv4 and IPv6, in the system's order. Raises EffectNotStarted."""
    if _is_address(host):
        return [host]
    found: list[str] = []
    failed: list[str] = []

    def look_up() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(row[4][0]) for row in rows))
        except (OSError, UnicodeError) as error:
            failed.append(getattr(error, "strerror", None) or "not a host name")

    # The system's resolver takes no timeout, so it may not be waited for in this thread.
    thread = threading.Thread(target=look_up, daemon=True, name="resolve")
    thread.start()
    try:
        thread.join(deadline.left())
    except TimeoutError:
        failed.append("timed out")
    if not found:
        raise EffectNotStarted(f"cannot find the address of {host}: {failed[0] if failed else 'timed out'}")
    return found


def _is_address(host: str) -> bool:
    """Nobody has to be asked about an address in its usual notation."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def refuse_forbidden(host: str, addresses: list[str]) -> None:
    """Raise ConfigurationError when one of them is link-local, multicast or a cloud's metadata service."""
    for text in addresses:
        address = _plain(text)
        if any(address.version == network.version and address in network for network in REFUSED):
            said = _("{host} is {address}: link-local, multicast and metadata addresses are not requested")
            raise ConfigurationError(format_lazy(said, host=host, address=str(address)))


def _plain(text: str) -> Address:
    """The address behind its notation: IPv4 may hide in IPv6 in three ways."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


def is_local(address: str) -> bool:
    """Whether an address belongs to this machine: only then can a socket be bound to it."""
    plain = str(_plain(address))
    family = socket.AF_INET6 if ":" in plain else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((plain, 0))
        except OSError:
            return False
    return True
