"""H1, H2, H4: the provider's console, page by page."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest

from core.activity.unit import unit_of_work
from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.database import execute, transaction
from core.errors import Conflict
from tenants import pausing
from tenants.backups import back_up
from tenants.deployment import Deployment
from tenants.provisioning import NewTenant, create_tenant
from tenants.status import TenantStatus
from tests.consoles import ME, do, happened, job_of, person, program, provider, worked
from tests.hosts import made, visitor


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process serves these tenants: nobody needs to be waited for."""
    monkeypatch.setattr(pausing, "SETTLING", 0.0)


NEW = {
    "slug": "alpha",
    "name": "Alpha Net",
    "email": "orla@alpha.example",
    "person": "Orla Fenn",
    "country": "DE",
    "currency": "EUR",
    "time_zone": "Europe/Berlin",
    "language": "de",
    "placement": "",
}


async def test_H1_a_tenant_is_made_in_the_console_and_its_link_is_shown_once(deployment: Deployment) -> None:
    host = await provider(deployment)
    browser = await person(deployment, host)

    form = await browser.get("/tenants/new")
    answer = await browser.post("/tenants", data=NEW)
    link = re.search(r'value="http://alpha\.localhost:\d+(/welcome/[^"]+)"', answer.text)
    record = await deployment.registry.get_by_slug("alpha")
    page = await browser.get(f"/tenants/{record.id}")
    async with visitor(deployment, "alpha.localhost") as new:
        welcomed = await new.get(link[1] if link else "/")
    async with deployment.scope(record, ME) as scope:
        tenant = scope.tenant

    assert form.status_code == 200
    assert answer.status_code == 200
    assert link is not None
    assert "welcome" not in page.text
    assert welcomed.status_code == 200
    assert (tenant.name, tenant.country, tenant.currency, tenant.time_zone) == (
        "Alpha Net",
        "DE",
        "EUR",
        "Europe/Berlin",
    )
    assert await happened(deployment, host) == ["tenant_created"]


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("slug", "A!", "small letters"),
        ("slug", "host", "There is a tenant"),
        ("email", "nobody", "Check the address"),
        ("time_zone", "Europe/Nowhere", "There is no time zone"),
        ("currency", "ZZZ", "There is no currency"),
        ("country", "ZZ", "There is no country"),
        ("language", "xx", "Use one of"),
        ("name", "  ", "name"),
        ("placement", "elsewhere", "There is no database"),
    ],
)
@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_H1_what_cannot_be_is_said_at_its_field_and_nothing_typed_is_lost(
    deployment: Deployment, field: str, typed: str, said: str
) -> None:
    browser = await person(deployment, await provider(deployment))

    answer = await browser.post("/tenants", data={**NEW, "person": "Orla Fenn-Kept", field: typed})

    assert answer.status_code == 422, answer.text
    assert said in answer.text
    assert "Orla Fenn-Kept" in answer.text
    assert [record.slug for record in await deployment.registry.list_tenants()] == ["host"]


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_H1_all_that_is_wrong_in_the_form_of_a_new_tenant_is_said_at_once_in_its_order(
    deployment: Deployment,
) -> None:
    browser = await person(deployment, await provider(deployment))
    wrong = {"slug": "A!", "email": "nobody", "currency": "ZZZ", "time_zone": "Europe/Nowhere"}

    answer = await browser.post("/tenants", data={**NEW, **wrong})
    empty = await browser.post("/tenants", data={**NEW, "name": "", "slug": "", "email": ""})

    assert re.findall(r'<li><a href="#f-(\w+)">', answer.text) == list(wrong)
    assert re.findall(r'<li><a href="#f-(\w+)">', empty.text) == ["name", "slug", "email"]


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_H1_a_short_name_is_checked_while_it_is_typed(deployment: Deployment) -> None:
    browser = await person(deployment, await provider(deployment))

    said = {
        slug: (await browser.get("/tenants/new/short-name", params={"slug": slug})).text.strip()
        for slug in ("alpha", "host", "9", "")
    }

    assert "Free: http://alpha.localhost" in said["alpha"]
    assert "There is a tenant “host” already" in said["host"]
    assert "Use 3 to 32 small letters" in said["9"]
    assert said[""] == ""


async def test_H1_a_tenant_is_suspended_with_a_reason_answers_503_and_is_resumed(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    browser = await person(deployment, host)
    at = f"/tenants/{tenant.id}/deeds"

    without = await do(browser, f"{at}/suspension", reason="")
    still = (await deployment.registry.get_by_slug("alpha")).status
    done = await do(browser, f"{at}/suspension", reason="unpaid since May")
    page = await browser.get(f"/tenants/{tenant.id}")
    async with visitor(deployment, "alpha.localhost") as outside:
        suspended = await outside.get("/login")
    back = await do(browser, f"{at}/resumption")
    async with visitor(deployment, "alpha.localhost") as outside:
        resumed = await outside.get("/login")

    assert (without.status_code, still) == (422, "active")
    assert "Say why" in without.text
    assert done.status_code == 303
    assert "unpaid since May" in page.text
    assert (suspended.status_code, "unpaid" in suspended.text) == (503, False)
    assert (back.status_code, resumed.status_code) == (303, 200)
    assert await happened(deployment, host) == ["tenant_suspended", "tenant_resumed"]


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_H1_what_another_window_did_meanwhile_is_named_where_a_deed_comes_too_late(
    deployment: Deployment,
) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    browser = await person(deployment, host)
    path = f"/tenants/{tenant.id}/deeds/suspension"

    await do(browser, path, reason="Has not paid")
    late = await browser.post(path, data={"reason": "The same again"})

    assert "Only while it is open" in late.text
    assert "Not now" not in late.text


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_H6_the_copy_of_a_long_short_name_is_proposed_one_that_can_be_and_errors_stand_at_it(
    deployment: Deployment,
) -> None:
    host, slug = await provider(deployment), "northern-counties-cooperative-01"
    tenant = (await made(deployment, slug)).record
    browser = await person(deployment, host)
    path = f"/tenants/{tenant.id}/deeds/trying"

    shown = await browser.get(path)
    taken = await do(browser, path, slug=slug)

    assert 'value="northern-counties-cooperativ-try"' in shown.text
    assert f"There is a tenant “{slug}” already." in taken.text
    assert re.search(r'<input[^>]*is-invalid[^>]*name="slug"', taken.text)


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_deed_is_not_done_unless_its_plan_was_seen_as_it_is_now(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    browser = await person(deployment, host)

    unseen = await browser.post(f"/tenants/{tenant.id}/deeds/suspension", data={"reason": "x", "seen": ""})
    await deployment.registry.set_status(tenant.uuid, TenantStatus.SUSPENDED, "by another")
    late = await browser.post(f"/tenants/{tenant.id}/deeds/suspension", data={"reason": "x", "seen": "whatever"})

    assert (unseen.status_code, late.status_code) == (409, 409)
    assert (await deployment.registry.get_by_slug("alpha")).reason == "by another"


async def test_H1_a_tenant_is_renamed_and_its_old_address_leads_there_still(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    browser = await person(deployment, host)
    at = f"/tenants/{tenant.id}/deeds/renaming"

    taken = await do(browser, at, slug="host", name="Alpha")
    done = await do(browser, at, slug="beta", name="Beta Net")
    record = await deployment.registry.get_by_slug("beta")
    answers = []
    for name in ("alpha.localhost", "beta.localhost"):
        async with visitor(deployment, name) as outside:
            answers.append((await outside.get("/login")).status_code)
    found = await browser.get("/tenants", params={"q": "beta n"})

    assert (taken.status_code, done.status_code) == (422, 303)
    assert "There is a tenant" in taken.text
    assert (record.name, record.uuid) == ("Beta Net", tenant.uuid)
    assert answers == [200, 200]
    assert "Beta Net" in found.text


async def test_H2_plugins_are_switched_for_a_tenant_with_what_each_declares(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    browser = await person(deployment, host)

    before = await browser.get(f"/tenants/{tenant.id}")
    on = await browser.put(f"/tenants/{tenant.id}/plugins/inventory", data={"on": "yes"})
    record = await deployment.registry.get_by_slug("alpha")
    inside = await person(deployment, record)
    shown = await inside.get("/inventory/items")
    off = await browser.put(f"/tenants/{tenant.id}/plugins/inventory", data={})
    hidden = await inside.get("/inventory/items")
    own = await browser.put(f"/tenants/{host.id}/plugins/inventory", data={"on": "yes"})
    unknown = await browser.put(f"/tenants/{tenant.id}/plugins/nothing", data={"on": "yes"})

    assert "inventory_item" in before.text
    assert (on.status_code, shown.status_code, off.status_code, hidden.status_code) == (303, 200, 303, 404)
    assert (own.status_code, unknown.status_code) == (409, 404)
    assert await happened(deployment, host) == ["tenant_plugin_enabled", "tenant_plugin_disabled"]


async def test_H1_a_backup_is_made_downloaded_and_restored_as_a_copy(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    async with deployment.scope(tenant, ME) as scope:
        await customers.create_customer(scope, NewCustomer(full_name="Ada Lovelace"))
    browser = await person(deployment, host)

    asked = await browser.post(f"/tenants/{tenant.id}/backups")
    twice = await browser.post(f"/tenants/{tenant.id}/backups")
    await worked(deployment, host)
    work = await browser.get(f"/tenants/work/{job_of(asked)}")
    stream = await browser.get(f"/tenants/work/{job_of(asked)}/events")
    file = re.search(r"alpha-\d{8}T\d{12}Z\.tar", work.text)
    assert file is not None, work.text
    page = await browser.get(f"/tenants/{tenant.id}")
    took = await browser.post(f"/tenants/backups/{file[0]}/download")
    copied = await do(browser, f"/tenants/backups/{file[0]}/restoring", way="copy", slug="copied")
    await worked(deployment, host)
    result = await browser.get(f"/tenants/work/{job_of(copied)}")
    copy = await deployment.registry.get_by_slug("copied")
    inside = await person(deployment, copy)

    assert job_of(asked) == job_of(twice)
    assert "is backed up" in work.text
    assert "event: done" in stream.text
    assert file[0] in page.text
    disk = deployment.config.data / "backups" / file[0]
    assert took.content == disk.read_bytes()
    assert took.headers["content-disposition"] == f'attachment; filename="{file[0]}"'
    assert "copied answers at" in result.text
    assert (copy.uuid != tenant.uuid, copy.status) == (True, "active")
    assert "Ada Lovelace" in (await inside.get("/customers")).text
    assert await happened(deployment, host) == [
        "tenant_backup_asked",
        "tenant_backed_up",
        "backup_downloaded",
        "backup_copy_asked",
        "tenant_restored",
    ]


async def test_H1_a_backup_takes_the_place_of_its_tenant_when_its_name_is_typed(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    browser = await person(deployment, host)
    file = (await back_up(deployment, tenant)).file.rpartition("/")[2]
    async with deployment.scope(tenant, ME) as scope:
        await customers.create_customer(scope, NewCustomer(full_name="Came Later"))
    at = f"/tenants/backups/{file}/restoring"

    mistyped = await do(browser, at, way="back", repeated="beta")
    done = await do(browser, at, way="back", repeated="alpha")
    await worked(deployment, host)
    result = await browser.get(f"/tenants/work/{job_of(done)}")
    record = await deployment.registry.get_by_slug("alpha")
    inside = await person(deployment, record)

    assert mistyped.status_code == 422
    assert "Type alpha" in mistyped.text
    assert "as the backup has it" in result.text
    assert (record.uuid, record.generation) == (tenant.uuid, 1)
    assert "Came Later" not in (await inside.get("/customers")).text


async def test_H1_a_tenant_is_archived_brought_back_and_deleted_with_a_last_backup(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    browser = await person(deployment, host)
    at = f"/tenants/{tenant.id}/deeds"

    mistyped = await do(browser, f"{at}/deletion", repeated="alfa")
    archived = await do(browser, f"{at}/archiving", repeated="alpha")
    await worked(deployment, host)
    away = await deployment.registry.get_by_slug("alpha")
    page = await browser.get(f"/tenants/{tenant.id}")
    file = away.archive.rpartition("/")[2]
    await do(browser, f"/tenants/backups/{file}/restoring", way="back", repeated="alpha")
    await worked(deployment, host)
    back = await deployment.registry.get_by_slug("alpha")
    deleted = await do(browser, f"{at}/deletion", repeated="alpha")
    await worked(deployment, host)
    result = await browser.get(f"/tenants/work/{job_of(deleted)}")
    gone = await browser.get(f"/tenants/{tenant.id}")
    backups = await browser.get("/tenants/backups")

    assert (mistyped.status_code, archived.status_code) == (422, 303)
    assert (away.status, back.status) == ("archived", "active")
    assert file in page.text
    assert "Alpha is deleted" in result.text
    assert gone.status_code == 404
    assert (
        len(re.findall(r'<tr><td class="c-name t-clip wide">Alpha <span class="t-2 t-small">gone', backups.text)) == 2
    )
    assert await deployment.registry.find_by_slug("alpha") is None


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_the_tenant_that_one_works_in_is_neither_suspended_nor_taken_away(deployment: Deployment) -> None:
    host = await provider(deployment)
    browser = await person(deployment, host)
    token = await program(deployment, host)
    file = (await back_up(deployment, host)).file.rpartition("/")[2]

    pages = [
        await browser.post(f"/tenants/{host.id}/deeds/{deed}", data={"repeated": "host", "reason": "x"})
        for deed in ("suspension", "archiving", "deletion")
    ]
    returned = await do(browser, f"/tenants/backups/{file}/restoring", way="back", repeated="host")
    api = [
        await token.post(f"/api/v1/tenants/{host.id}/suspension", json={"reason": "x"}),
        await token.post(f"/api/v1/tenants/{host.id}/archiving", json={"repeated": "host"}),
        await token.post(f"/api/v1/tenants/{host.id}/deletion", json={"repeated": "host"}),
        await token.post("/api/v1/tenants/backups/returns", json={"file": file, "repeated": "host"}),
    ]

    assert {answer.status_code for answer in (*pages, returned, *api)} == {409}
    assert (await deployment.registry.get_by_slug("host")).status == "active"


async def test_H2_all_tenants_are_upgraded_and_those_that_fail_are_named_with_the_way_out(
    deployment: Deployment,
) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    broken = (await made(deployment, "broken")).record
    browser = await person(deployment, host)
    await deployment.registry.set_status(tenant.uuid, TenantStatus.FAILED, "Upgrade: disk full")
    await deployment.placement.remove_databases(broken.uuid, broken.placement)

    asked = await browser.post("/tenants/upgrades")
    await worked(deployment, host)
    work = await browser.get(f"/tenants/work/{job_of(asked)}")
    page = await browser.get(f"/tenants/{broken.id}")
    listed = await browser.get("/tenants", params={"status": "failed"})
    again = await browser.post("/tenants/upgrades")

    assert "1 tenant failed" in work.text
    assert "It answers 503 and is as it was before" in work.text
    assert (await deployment.registry.get_by_slug("alpha")).status == "active"
    assert (await deployment.registry.get_by_slug("broken")).status == "failed"
    assert "Upgrade it again" in page.text
    assert "Broken" in listed.text
    assert "Alpha" not in listed.text
    assert job_of(again) != job_of(asked)


async def test_H2_a_tenant_of_a_newer_version_is_shown_as_that_and_keeps_nobody_from_the_others(
    deployment: Deployment,
) -> None:
    host, newer = await provider(deployment), (await made(deployment, "newer")).record
    browser = await person(deployment, host)
    async with deployment.scope(newer, ME), transaction():
        await execute(
            "INSERT INTO migration (app, id, version, description, run_at)"
            " SELECT min(app), '2099-01-01T00:00:00', '9.0', 'of tomorrow', max(run_at) FROM migration"
        )

    page = await browser.get(f"/tenants/{newer.id}")
    looked = await browser.post("/tenants/looks")
    upgraded = await browser.post("/tenants/upgrades")
    await worked(deployment, host)
    works = [await browser.get(f"/tenants/work/{job_of(asked)}") for asked in (looked, upgraded)]
    listed = await browser.get("/tenants", params={"health": "fail"})

    assert page.status_code == 200
    assert "The database has been migrated by a newer version of Tenantry" in page.text
    assert ["Done" in work.text for work in works] == [True, True]
    assert "2 of 2" in works[0].text
    assert "1 tenant failed" in works[1].text
    assert f'id="tenant-{newer.id}"' in listed.text


async def test_H4_the_list_is_of_the_registry_and_says_how_old_its_figures_are(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    async with deployment.scope(tenant, ME) as scope:
        await customers.create_customer(scope, NewCustomer(full_name="Ada Lovelace"))
    browser = await person(deployment, host)

    fresh = await browser.get("/tenants")
    await browser.post("/tenants/looks")
    await worked(deployment, host)
    await deployment.placement.forget(tenant.uuid)
    looked = await browser.get("/tenants")
    opened = (tenant.uuid, tenant.generation) in deployment.placement._open
    sorted_by = [
        await browser.get("/tenants", params={"sort": f"{sign}{key}"})
        for key in (
            "name",
            "host",
            "status",
            "health",
            "version",
            "placement",
            "plugins",
            "customers",
            "users",
            "size",
            "backup",
            "used",
        )
        for sign in ("", "-")
    ]

    assert "Some tenants have not been looked at yet" in fresh.text
    assert "each has one" not in fresh.text
    assert "looked at every half hour" in looked.text
    row = re.search(rf'<tr id="tenant-{tenant.id}">.*?</tr>', looked.text, re.DOTALL)
    assert row is not None
    assert '<td class="t-num">1</td><td class="t-num">1</td>' in row[0], "a customer, and its administrator"
    assert "Well" in row[0]
    assert not opened, "the list opens no tenant"
    assert {answer.status_code for answer in sorted_by} == {200}


async def test_a_second_provider_is_refused(deployment: Deployment) -> None:
    await provider(deployment)

    with pytest.raises(Conflict, match="there can be one only"):
        await create_tenant(
            deployment, NewTenant(slug="other", name="Other", email="admin@other.example", is_provider=True)
        )
    assert await deployment.registry.find_by_slug("other") is None


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_backup_that_is_named_otherwise_or_lies_elsewhere_is_not_found(deployment: Deployment) -> None:
    host = await provider(deployment)
    browser = await person(deployment, host)
    await asyncio.to_thread((deployment.config.data / "backups").mkdir)

    answers = [
        await browser.post(f"/tenants/backups/{name}/download")
        for name in ("..%2Fkeys", "keys", "alpha-20261122T000000000000Z.tar", "control.sqlite")
    ]

    assert {answer.status_code for answer in answers} == {404}


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_the_console_speaks_german_to_whoever_asks_for_it(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    browser = await person(deployment, host)
    browser.headers["accept-language"] = "de"

    listed, one = await browser.get("/tenants"), await browser.get(f"/tenants/{tenant.id}")
    drawer = await browser.get(f"/tenants/{tenant.id}/deeds/suspension")
    refused = await do(browser, f"/tenants/{tenant.id}/deeds/deletion", repeated="alfa")

    assert "Neuer Mandant" in listed.text
    assert "Noch keine Sicherungen" in one.text
    assert "Hardware im Lager und bei Kunden" in one.text
    assert "Keine Angabe" not in one.text
    assert "alpha aussetzen" in drawer.text
    assert "Geben Sie alpha ein" in refused.text


async def test_F1_a_tenant_is_taken_away_or_put_back_by_who_proved_it_a_moment_ago(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    browser = await person(deployment, host)
    backup = await back_up(deployment, tenant)
    async with deployment.scope(host, ME) as scope, unit_of_work(scope):
        await execute("UPDATE session SET proved_at = :before", before=scope.now() - timedelta(minutes=16))
    at, file = f"/tenants/{tenant.id}/deeds", f"/tenants/backups/{Path(backup.file).name}"

    asked = [await browser.get(where) for where in (f"{at}/deletion", f"{at}/archiving", f"{file}/restoring")]
    done = [await browser.post(where, data={}) for where in (f"{at}/deletion", f"{file}/restoring", f"{file}/download")]
    harmless = await browser.get(f"{at}/upgrading")

    assert [one.headers.get("location", "").partition("?")[0] for one in asked] == ["/confirm"] * 3
    assert [one.status_code for one in done] == [403] * 3
    assert harmless.status_code == 200
