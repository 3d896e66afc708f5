"""Passkeys as the server sees them: a device made of software, and what it must not get away with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import cbor2
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url

from core.database import execute, value
from core.errors import Invalid
from core.scope import Scope
from core.staff import passkeys, queries
from core.testing import HOST, TestTenant
from tests.core.staff.test_log_in import PASSWORD, is_in, log_in, person

SITE = f"http://{HOST}"


@dataclass
class Device:
    """Keeps one passkey and signs what it is told, from where it is told."""

    site: str = SITE
    party: str = HOST
    verified: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    uses: int = 0

    @property
    def id(self) -> bytes:
        return sha256(self._point("x") + self._point("y")).digest()

    def _point(self, axis: str) -> bytes:
        number: int = getattr(self.key.public_key().public_numbers(), axis)
        return number.to_bytes(32, "big")

    def _said(self, kind: str, options: str) -> bytes:
        challenge = json.loads(options)["challenge"]
        return json.dumps({"type": f"webauthn.{kind}", "challenge": challenge, "origin": self.site}).encode()

    def _data(self, flags: int) -> bytes:
        flags |= 0x05 if self.verified else 0x01
        return sha256(self.party.encode()).digest() + bytes([flags]) + self.uses.to_bytes(4, "big")

    def _answer(self, **response: bytes) -> str:
        said = {name: bytes_to_base64url(given) for name, given in response.items()}
        me = bytes_to_base64url(self.id)
        return json.dumps({"id": me, "rawId": me, "type": "public-key", "response": said, "clientExtensionResults": {}})

    def made(self, options: str) -> str:
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: self._point("x"), -3: self._point("y")})
        data = self._data(0x40) + bytes(16) + len(self.id).to_bytes(2, "big") + self.id + public
        kept = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(clientDataJSON=self._said("create", options), attestationObject=kept)

    def signed(self, options: str) -> str:
        self.uses += 1
        said, data = self._said("get", options), self._data(0)
        proof = self.key.sign(data + sha256(said).digest(), ec.ECDSA(SHA256()))
        return self._answer(clientDataJSON=said, authenticatorData=data, signature=proof)


async def with_passkey(tenant: TestTenant, email: str = "ada@staff.example") -> tuple[int, Device, list[str]]:
    """Somebody whose device has a passkey, with the recovery codes that came with it."""
    staff_id = await person(tenant, email=email)
    scope, device = await acting(tenant, staff_id), Device()
    codes = await passkeys.add_passkey(scope, "Laptop", device.made(await passkeys.offer_passkey(scope)))
    return staff_id, device, codes


async def acting(tenant: TestTenant, staff_id: int) -> Scope:
    known = await queries.find_known(staff_id)
    assert known is not None
    return tenant.scope(actor=queries.actor_of(known))


async def offered(client: httpx.AsyncClient) -> str:
    return (await client.post("/login/passkey/options")).text


async def opened(client: httpx.AsyncClient, credential: str) -> httpx.Response:
    return await client.post("/login/passkey", data={"credential": credential, "next": "/products"})


async def test_F1_a_passkey_opens_without_a_password_and_its_answer_works_once(tenant: TestTenant) -> None:
    _, device, codes = await with_passkey(tenant)
    client = tenant.anonymous()
    credential = device.signed(await offered(client))

    first = await opened(client, credential)
    again = await opened(tenant.anonymous(), credential)

    assert len(codes) == 10
    assert (first.status_code, first.headers["location"]) == (303, "/products")
    assert await is_in(client)
    assert again.status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        {"site": "https://evil.example"},
        {"site": f"{SITE}:8443"},
        {"party": "other.localhost"},
        {"verified": False},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"uses": -1},
    ],
)
async def test_F1_a_passkey_of_elsewhere_unverified_or_copied_opens_nothing(
    tenant: TestTenant, change: dict[str, Any]
) -> None:
    _, device, _ = await with_passkey(tenant)
    await execute("UPDATE passkey SET sign_count = 5")
    forged = replace(device, **{"uses": 9, **change})
    client = tenant.anonymous()

    answer = await opened(client, forged.signed(await offered(client)))

    assert answer.status_code == 422
    assert not await is_in(client)


async def test_F1_what_was_offered_for_making_a_passkey_logs_nobody_in(tenant: TestTenant) -> None:
    staff_id, device, _ = await with_passkey(tenant)
    options = await passkeys.offer_passkey(await acting(tenant, staff_id))

    assert (await opened(tenant.anonymous(), device.signed(options))).status_code == 422


async def test_F1_after_the_password_of_one_the_passkey_of_another_is_refused(tenant: TestTenant) -> None:
    await with_passkey(tenant)
    _, other, _ = await with_passkey(tenant, "bob@staff.example")
    client, first = await log_in(tenant)

    wrong = await opened(client, other.signed(await offered(client)))

    assert first.headers["location"].startswith("/login/second")
    assert wrong.status_code == 422
    assert not await is_in(client)


async def test_F1_the_password_alone_does_not_open_where_there_is_a_passkey(tenant: TestTenant) -> None:
    _, device, _ = await with_passkey(tenant)
    client, _ = await log_in(tenant, PASSWORD)
    before = await is_in(client)

    right = await opened(client, device.signed(await offered(client)))

    assert not before
    assert right.status_code == 303
    assert await value("SELECT count(*) FROM session WHERE actor_kind = 'staff-code'") == 0


async def test_F1_a_passkey_is_made_by_who_was_offered_it(tenant: TestTenant) -> None:
    first = await acting(tenant, await person(tenant))
    second = await acting(tenant, await person(tenant, email="bob@staff.example"))
    options = await passkeys.offer_passkey(first)

    with pytest.raises(Invalid, match="took too long"):
        await passkeys.add_passkey(second, "Phone", Device().made(options))


@pytest.mark.parametrize("address", [f"{SITE}/", SITE.upper()])
async def test_F1_passkeys_work_however_the_address_of_the_pages_is_written(tenant: TestTenant, address: str) -> None:
    scope = await acting(tenant, await person(tenant))
    written = replace(scope, tenant=replace(scope.tenant, address=address))

    await passkeys.add_passkey(written, "Laptop", Device().made(await passkeys.offer_passkey(written)))

    assert await value("SELECT count(*) FROM passkey") == 1
