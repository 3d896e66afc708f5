"""Files are kept once, under the hash of what is in them, and given back as they were or not at all."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from core.activity.unit import unit_of_work
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import OneCustomer
from core.documents.files import (
    LARGEST,
    FileDamaged,
    damaged_files,
    get_file,
    list_files,
    read_file,
    remove_file,
    store_file,
    sweep_files,
)
from core.errors import Invalid, NotFound
from core.scope import Actor
from core.testing import TestTenant

pytestmark = pytest.mark.anyio

PDF = b"%PDF-1.7 once"


async def store(tenant: TestTenant, data: bytes = PDF, name: str = "a.pdf", customer_id: int | None = None):  # type: ignore[no-untyped-def]
    return await store_file(tenant.scope(), data, name=name, media_type="application/pdf", customer_id=customer_id)


def on_disk(tenant: TestTenant) -> list[Path]:
    assert tenant.tenant.folder is not None
    return [path for path in (tenant.tenant.folder / "files").rglob("*") if path.is_file()]


async def test_a_file_comes_back_byte_for_byte(tenant: TestTenant) -> None:
    stored = await store(tenant)

    found = await get_file(tenant.scope(), stored.id)

    assert (found.sha256, found.size, found.name) == (hashlib.sha256(PDF).hexdigest(), len(PDF), "a.pdf")
    assert await read_file(tenant.scope(), found) == PDF


async def test_the_same_bytes_lie_on_the_disk_once(tenant: TestTenant) -> None:
    first = await store(tenant, name="a.pdf")
    second = await store(tenant, name="b.pdf")

    assert first.id != second.id
    assert [path.name for path in on_disk(tenant)] == [first.sha256]
    assert [one.name for one in await list_files(tenant.scope(), [second.id, first.id])] == ["a.pdf", "b.pdf"]


async def test_a_file_that_was_changed_or_lost_on_the_disk_is_never_given_out(tenant: TestTenant) -> None:
    changed, lost, whole = await store(tenant), await store(tenant, b"lost"), await store(tenant, b"whole")
    for path in on_disk(tenant):
        if path.name == changed.sha256:
            path.write_bytes(PDF[:-1] + b"X")
        if path.name == lost.sha256:
            path.unlink()

    for file in (changed, lost):
        with pytest.raises(FileDamaged):
            await read_file(tenant.scope(), file)
    assert [file.id for file in await damaged_files(tenant.scope())] == [changed.id, lost.id]
    assert await read_file(tenant.scope(), whole) == b"whole"


async def test_storing_the_same_again_mends_a_damaged_file(tenant: TestTenant) -> None:
    stored = await store(tenant)
    on_disk(tenant)[0].write_bytes(b"rot")

    await store(tenant)

    assert await read_file(tenant.scope(), stored) == PDF


async def test_a_unit_that_fails_leaves_no_row_and_the_sweep_takes_the_bytes(tenant: TestTenant) -> None:
    async def fails() -> None:
        async with unit_of_work(tenant.scope()):
            await store(tenant)
            raise RuntimeError("later")

    with pytest.raises(RuntimeError):
        await fails()

    assert len(on_disk(tenant)) == 1
    assert await sweep_files(tenant.scope()) == 0
    long_ago = time.time() - 7200
    os.utime(on_disk(tenant)[0], (long_ago, long_ago))
    assert await sweep_files(tenant.scope()) == 1
    assert on_disk(tenant) == []


async def test_the_sweep_leaves_what_a_row_names(tenant: TestTenant) -> None:
    kept, gone = await store(tenant, name="kept.pdf"), await store(tenant, b"other")
    also = await store(tenant, name="the same bytes.pdf")
    await remove_file(tenant.scope(), gone.id)
    await remove_file(tenant.scope(), also.id)

    assert await sweep_files(tenant.scope(), older_than=-1) == 1
    assert [path.name for path in on_disk(tenant)] == [kept.sha256]


async def test_a_customer_sees_own_files_only(tenant: TestTenant) -> None:
    mine = await create_customer(tenant.scope(), NewCustomer(full_name="Mine"))
    others = await create_customer(tenant.scope(), NewCustomer(full_name="Other"))
    own, other, nobodys = (
        await store(tenant, customer_id=mine),
        await store(tenant, customer_id=others),
        await store(tenant),
    )
    scope = tenant.scope(actor=Actor("customer", mine, "Mine", OneCustomer(mine), frozenset()))

    assert (await get_file(scope, own.id)).id == own.id
    for file in (other, nobodys):
        with pytest.raises(NotFound):
            await get_file(scope, file.id)
        with pytest.raises(NotFound):
            await remove_file(scope, file.id)
    assert [file.id for file in await list_files(scope, [own.id, other.id, nobodys.id])] == [own.id]


@pytest.mark.parametrize("tenant", ["sqlite"], indirect=True)
async def test_names_are_made_fit_for_disks_and_headers(tenant: TestTenant) -> None:
    stored = await store(tenant, name='../../etc/pass"wd\r\n.pdf')
    empty = await store(tenant, name="...")

    assert stored.name == "-..-etc-pass-wd--.pdf"
    assert empty.name == "file"


@pytest.mark.parametrize("tenant", ["sqlite"], indirect=True)
async def test_a_file_that_no_mail_server_would_take_is_refused(tenant: TestTenant) -> None:
    with pytest.raises(Invalid, match="25 MB"):
        await store(tenant, b"x" * (LARGEST + 1))

    assert on_disk(tenant) == []
