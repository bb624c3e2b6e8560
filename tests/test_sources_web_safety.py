"""Where web sources may connect: private addresses, redirects, rebinding names, TLS names, and secrets in addresses."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trafilatura")
import httpcore
from web_site import Reply, Site, serving

from ragft.config import FieldNames
from ragft.config.knowledge import WebSource
from ragft.data.sources import SetAside, read_sources
from ragft.data.sources.addresses import canonical, shown_url
from ragft.data.sources.connecting import CheckedBackend, PrivateAddressError, is_public
from ragft.data.sources.fetching import Fetcher
from ragft.data.sources.found import Found, Item, UnreadableError
from ragft.data.sources.web import read_web

GREEN = "The lighthouse of Aldmoor is green. It was built in 1911, and below it live many otters, as every child knows."
PUBLIC = "93.184.216.34"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as running:
        yield running


def source(*urls: str, **options: Any) -> WebSource:
    return WebSource.model_validate({"kind": "web", "urls": urls, "delay_s": 0.0, "timeout_s": 5.0, **options})


def read_one(source: WebSource, names: dict[str, list[str]], tls: ssl.SSLContext | None = None) -> Item:
    """Read one page with a name server of the test's own."""
    (item,) = read_web(source, None, Fetcher(source, None, resolve=lambda host, port: names[host], ssl_context=tls))
    return item


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # where clouds hand out their credentials
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2001:0:7f00:1::",
    ],
)
def test_addresses_that_are_not_of_the_public_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_addresses_of_the_public_internet(address: str) -> None:
    assert is_public(address)


def test_this_machine_is_read_only_when_allowed(site: Site) -> None:
    page = site.page("/a", GREEN)
    refused = read_sources([source(page)], FieldNames(), cache_dir=None)
    assert refused.set_aside == (
        SetAside(page, "127.0.0.1 has the private or reserved address 127.0.0.1; allow_private: true allows it"),
    )
    assert site.asked == []
    assert len(read_sources([source(page, allow_private=True)], FieldNames(), cache_dir=None).documents) == 1


@pytest.mark.parametrize(
    "host", ["localhost", "2130706433", "0x7f.1", "017700000001", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_other_spellings_of_this_machine_are_refused(site: Site, host: str) -> None:
    """The system turns numbers into addresses in more ways than one, so the check looks at what it gave."""
    reading = read_sources([source(site.page("/a", GREEN).replace("127.0.0.1", host))], FieldNames(), cache_dir=None)
    assert reading.documents == ()
    assert "private or reserved" in reading.set_aside[0].reason
    assert site.asked == []


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    item = read_one(source("http://two.test/"), {"two.test": [PUBLIC, "10.0.0.7"]})
    assert isinstance(item, SetAside)
    assert "two.test has the private or reserved address 10.0.0.7" in item.reason


class OnlyRecords(httpcore.NetworkBackend):
    """Connects nowhere and keeps the addresses that it was given."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    def connect_tcp(self, host: str, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        self.addresses.append(host)
        raise httpcore.ConnectError("nowhere")


def test_a_name_that_changes_its_address_after_the_check_leads_nowhere_else() -> None:
    """DNS rebinding: the first answer is public and passes, the second would be this machine."""
    answers = [[PUBLIC], ["127.0.0.1"]]
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers.pop(0)

    sockets = OnlyRecords()
    backend = CheckedBackend(allow_private=False, resolve=resolve, inner=sockets)
    with pytest.raises(httpcore.ConnectError):
        backend.connect_tcp("rebind.test", 80, 1.0)
    assert (asked, sockets.addresses) == (["rebind.test"], [PUBLIC])
    with pytest.raises(PrivateAddressError):
        backend.connect_tcp("rebind.test", 80, 1.0)
    assert sockets.addresses == [PUBLIC]


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    sockets = OnlyRecords()
    backend = CheckedBackend(allow_private=False, resolve=lambda host, port: [PUBLIC, "8.8.8.8"], inner=sockets)
    with pytest.raises(httpcore.ConnectError):
        backend.connect_tcp("two.test", 80, 1.0)
    assert sockets.addresses == [PUBLIC, "8.8.8.8"]


def test_a_redirect_to_a_private_address_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first server counts as public here; where it sends the reader is judged anew."""
    from ragft.data.sources import connecting

    real = connecting.is_public
    monkeypatch.setattr(connecting, "is_public", lambda address: address == "127.0.0.1" or real(address))
    secret = site.page("/inner", GREEN)
    names = {"public.test": ["127.0.0.1"], "inner.test": ["127.0.0.2"], "169.254.169.254": ["169.254.169.254"]}
    for target, address in (
        (f"http://inner.test:{site.port}/inner", "127.0.0.2"),
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254"),
    ):
        site.put("/go", Reply(status=302, headers={"Location": target}))
        item = read_one(source(site.url("/go", "public.test")), names)
        assert isinstance(item, SetAside)
        assert f"has the private or reserved address {address}" in item.reason
    assert "/inner" not in site.asked
    site.put("/go", Reply(status=302, headers={"Location": site.url("/inner", "public.test")}))
    assert isinstance(read_one(source(site.url("/go", "public.test")), names), Found)
    assert secret.endswith("/inner")


def test_the_server_is_still_asked_for_by_its_name(site: Site) -> None:
    site.page("/a", GREEN)
    item = read_one(source(site.url("/a", "aldmoor.test"), allow_private=True), {"aldmoor.test": ["127.0.0.1"]})
    assert isinstance(item, Found)
    assert item.document.id == f"http://aldmoor.test:{site.port}/a"
    assert {headers["Host"] for headers in site.headers} == {f"aldmoor.test:{site.port}"}


def certificate(folder: Path, name: str) -> Path:
    """Write a certificate for one name, with its key, and return the file."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / f"{name}.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def test_the_certificate_must_be_of_the_name_although_the_connection_goes_to_an_address(tmp_path: Path) -> None:
    pem = certificate(tmp_path, "aldmoor.test")
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(pem)
    trusting = ssl.create_default_context(cafile=str(pem))
    names = {"aldmoor.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}
    with serving(Site(), server_side) as site:
        site.page("/a", GREEN)
        good = f"https://aldmoor.test:{site.port}/a"
        assert isinstance(read_one(source(good, allow_private=True), names, trusting), Found)
        wrong = read_one(source(good.replace("aldmoor", "other"), allow_private=True), names, trusting)
    assert isinstance(wrong, SetAside)
    assert "certificate is not valid for 'other.test'" in wrong.reason


def test_credentials_reach_their_own_server_alone_and_are_shown_nowhere(site: Site) -> None:
    site.page("/a", GREEN)
    names = {"one.test": ["127.0.0.1"], "two.test": ["127.0.0.1"]}
    site.put("/go", Reply(status=302, headers={"Location": site.url("/a", "two.test")}))
    address = f"http://reader:s3cret@one.test:{site.port}"
    item = read_one(source(f"{address}/go", allow_private=True), names)
    assert isinstance(item, Found)
    assert "s3cret" not in repr(item)
    sent = {headers["Host"]: headers.get("Authorization") for headers in site.headers}
    assert sent == {f"one.test:{site.port}": "Basic cmVhZGVyOnMzY3JldA==", f"two.test:{site.port}": None}
    item = read_one(source(f"{address}/gone", allow_private=True), names)
    assert isinstance(item, SetAside)
    assert "s3cret" not in repr(item)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.COM:80/a/../b#x", "http://example.com/b"),
        ("https://example.com:443", "https://example.com/"),
        ("https://example.com:8443/?b=2&a=1", "https://example.com:8443/?b=2&a=1"),
        ("https://me:pw@example.com/a b", "https://example.com/a%20b"),
        ("https://bücher.example/é", "https://xn--bcher-kva.example/%C3%A9"),
    ],
)
def test_one_page_has_one_spelling(url: str, expected: str) -> None:
    assert canonical(url) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://example.com/", "only http and https are read, not ftp"),
        ("file:///etc/passwd", "only http and https are read, not file"),
        ("example.com", "only http and https are read, not an address without a scheme"),
        ("http://", "the address names no host"),
        ("http://[::1", "not a valid address"),
        ("http://a:99999999/", "no port has the number 99999999"),
    ],
)
def test_what_is_no_address_of_a_page(url: str, message: str) -> None:
    with pytest.raises(UnreadableError, match=message):
        canonical(url)


def test_a_broken_address_is_shown_without_its_password() -> None:
    assert shown_url("ftp://me:pw@host/\x1b[2J") == "ftp://host/\\x1b[2J"
    assert "pw" not in shown_url("http://me:pw@[::1")
    assert "pw" not in shown_url("me:pw@host")


def test_the_list_of_documented_ranges_is_of_addresses() -> None:
    assert ip_address(PUBLIC).is_global
