"""Which servers are connected to, and how: only where a tenant may, encrypted where it is so set, never by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.messages.settings import MailSettings
from core.messages.smtp import NotAllowed, NotReached, checked_addresses, connected
from core.outbound import is_public
from tests.http import certified
from tests.smtp import SmtpSink

pytestmark = pytest.mark.anyio

HERE = frozenset({"127.0.0.1", "localhost"})
INSIDE = (
    "127.0.0.1 127.8.8.8 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255"
    " ::1 :: fe80::1%eth0 fc00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 2002:7f00:1:: 64:ff9b::7f00:1"
    " ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b:1::7f00:1 fec0::1"
)


@pytest.mark.parametrize("address", INSIDE.split())
async def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe", "::ffff:9.9.9.9", "64:ff9b::909:909"])
async def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "0x7f000001", "2130706433", "127.1"])
async def test_hosts_inside_are_refused_unless_the_provider_has_allowed_them(host: str) -> None:
    with pytest.raises((NotAllowed, NotReached)) as refused:
        await checked_addresses(host, 587, frozenset())

    assert "public internet" in refused.value.message or "no host" in refused.value.message


async def test_a_port_that_no_mail_server_has_is_refused() -> None:
    with pytest.raises(NotAllowed, match="port 22 is not allowed"):
        await checked_addresses("9.9.9.9", 22, frozenset())


async def test_what_the_provider_has_allowed_is_connected_to_on_any_port(smtp_sink: SmtpSink) -> None:
    settings = MailSettings(host="localhost", port=smtp_sink.port, security="none", sender_address="a@b.example")

    async with connected(settings, HERE) as server:
        assert await server.begin("a@b.example", ["c@d.example"]) == []


async def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(NotReached, match=r"There is no host “nowhere\.invalid”"):
        await checked_addresses("nowhere.invalid", 587, frozenset())


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_an_encrypted_connection_is_one(
    smtp_sink: SmtpSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    certificate = certify(smtp_sink, tmp_path, starttls=security == "starttls")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async with connected(secured(smtp_sink, security), HERE) as server:
        assert await server.begin("a@b.example", ["c@d.example"]) == []
    assert smtp_sink.log_ins == ["billing"]


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    smtp_sink: SmtpSink, tmp_path: Path, security: str
) -> None:
    certify(smtp_sink, tmp_path, starttls=security == "starttls")

    with pytest.raises(NotReached, match="certificate is not good"):
        await reach(secured(smtp_sink, security))
    assert smtp_sink.log_ins == []


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_certificate_of_another_host_is_refused(
    smtp_sink: SmtpSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    certificate = certify(smtp_sink, tmp_path, starttls=security == "starttls", name="other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with pytest.raises(NotReached, match="certificate is not good: Hostname mismatch"):
        await reach(secured(smtp_sink, security))


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_server_without_encryption_gets_no_password(smtp_sink: SmtpSink, security: str) -> None:
    with pytest.raises(NotReached):
        await reach(secured(smtp_sink, security))

    assert smtp_sink.log_ins == []


async def reach(settings: MailSettings) -> None:
    async with connected(settings, HERE):
        pass


def secured(sink: SmtpSink, security: str) -> MailSettings:
    return MailSettings(
        host="localhost",
        port=sink.port,
        security=security,  # type: ignore[arg-type]  # one of the two
        user="billing",
        password="right",
        sender_address="a@b.example",
    )


def certify(sink: SmtpSink, folder: Path, *, starttls: bool, name: str = "localhost") -> Path:
    """Give the server a certificate of its own; the file is what vouches for it."""
    context, chain = certified(folder, name)
    sink.stop()
    sink.tls, sink.starttls = context, starttls
    sink.accounts["billing"] = "right"
    sink.start()
    return chain
