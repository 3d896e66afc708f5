"""Tenants: made whole or not at all, found by their exact host name, kept apart."""

from __future__ import annotations

import asyncio
import errno
import shutil

import pytest
from click.testing import CliRunner

from core.customers import actions as customers
from core.customers import queries, statuses
from core.customers.schemas import NewCustomer
from core.database import DiskFull, SqliteDatabase, value, values
from core.errors import Conflict, Invalid
from core.lists.views import list_views
from core.scope import command_actor
from tenants import provisioning
from tenants.cli import main
from tenants.deployment import Deployment
from tenants.plugins import disable_plugin, enable_plugin
from tenants.routing import host_of
from tenants.status import TenantStatus
from tests.hosts import environment_of, made, visitor

ME = command_actor("test")


async def test_a_new_tenant_answers_and_its_administrator_sets_a_password_once(deployment: Deployment) -> None:
    tenant = await made(deployment, "alpha")
    path = "/welcome/" + tenant.link.rsplit("/", 1)[1]

    async with visitor(deployment, "alpha.localhost") as page:
        looked = await page.get(path)
        set_up = await page.post(path, data={"password": "correct horse battery", "repeated": "correct horse battery"})
        inside = await page.get("/customers")
        again = await page.post(path, data={"password": "another one entirely", "repeated": "another one entirely"})

    assert (looked.status_code, set_up.status_code, inside.status_code, again.status_code) == (200, 303, 200, 404)


async def test_two_passwords_that_differ_or_are_too_short_are_refused_and_the_link_still_works(
    deployment: Deployment,
) -> None:
    tenant = await made(deployment, "alpha")
    path = "/welcome/" + tenant.link.rsplit("/", 1)[1]

    async with visitor(deployment, "alpha.localhost") as page:
        differ = await page.post(path, data={"password": "correct horse battery", "repeated": "something else"})
        short = await page.post(path, data={"password": "short", "repeated": "short"})
        works = await page.get(path)

    assert (differ.status_code, short.status_code, works.status_code) == (422, 422, 200)


async def test_an_unknown_host_gets_one_fixed_answer_without_a_cookie(deployment: Deployment) -> None:
    await made(deployment, "alpha")

    answers = []
    for host in ("nobody.localhost", "alpha.localhost.evil.example", "localhost", "xalpha.localhost"):
        async with visitor(deployment, host) as page:
            answers.append(await page.get("/login"))

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert not any("set-cookie" in answer.headers for answer in answers)


@pytest.mark.parametrize("header", ["ALPHA.localhost", "alpha.localhost:8000", "alpha.localhost."])
def test_a_host_is_known_whatever_its_case_and_port(header: str) -> None:
    assert host_of(header) == "alpha.localhost"


async def test_a_suspended_tenant_says_so_and_is_served_again_when_resumed(deployment: Deployment) -> None:
    tenant = await made(deployment, "alpha")

    await deployment.registry.set_status(tenant.record.uuid, TenantStatus.SUSPENDED, "unpaid")
    async with visitor(deployment, "alpha.localhost") as page:
        suspended, api = await page.get("/login"), await page.get("/api/v1/customers")
    await deployment.registry.set_status(tenant.record.uuid, TenantStatus.ACTIVE)
    async with visitor(deployment, "alpha.localhost") as page:
        resumed = await page.get("/login")

    assert (suspended.status_code, suspended.headers["retry-after"]) == (503, "60")
    assert "Alpha is suspended" in suspended.text
    assert "unpaid" not in suspended.text
    assert "default-src 'none'" in suspended.headers["content-security-policy"]
    assert (api.status_code, api.headers["content-type"]) == (503, "application/problem+json")
    assert resumed.status_code == 200


async def test_a_tenant_whose_upgrade_failed_is_said_to_be_maintained(deployment: Deployment) -> None:
    tenant = await made(deployment, "alpha")

    await deployment.registry.set_status(tenant.record.uuid, TenantStatus.FAILED, "no such column")
    async with visitor(deployment, "alpha.localhost") as page:
        answer = await page.get("/login")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "Alpha is being maintained" in answer.text
    assert "column" not in answer.text


async def test_where_no_tenant_is_served_it_is_said_in_the_language_that_the_browser_asks_for(
    deployment: Deployment,
) -> None:
    tenant = await made(deployment, "alpha")
    await deployment.registry.set_status(tenant.record.uuid, TenantStatus.SUSPENDED, "unpaid")

    german = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
    async with visitor(deployment, "alpha.localhost") as page:
        suspended = await page.get("/login", headers=german)
        api = await page.get("/api/v1/customers", headers=german)
    async with visitor(deployment, "nobody.localhost") as page:
        unknown = await page.get("/login", headers=german)

    assert '<html lang="de">' in suspended.text
    assert "Alpha ist gesperrt" in suspended.text
    assert api.json()["detail"] == "Die Seiten dieses Betreibers sind gesperrt."
    assert '<html lang="de">' in unknown.text


async def test_what_one_tenant_writes_no_other_reads(deployment: Deployment) -> None:
    one, other = await made(deployment, "alpha"), await made(deployment, "beta")

    async with deployment.scope(one.record, ME) as scope:
        await customers.create_customer(scope, NewCustomer(full_name="Only Alpha's"))
    async with deployment.scope(other.record, ME) as scope:
        found = await queries.list_customers(scope)

    assert found == []


async def test_a_short_name_that_is_taken_or_cannot_be_one_is_refused(deployment: Deployment) -> None:
    await made(deployment, "alpha")

    with pytest.raises(Conflict, match="alpha"):
        await made(deployment, "alpha")
    for slug in ("A", "alpha beta", "-alpha", "x" * 40, "../etc"):
        with pytest.raises(Invalid):
            await made(deployment, slug)
    assert [record.slug for record in await deployment.registry.list_tenants()] == ["alpha"]


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "host",
    ["bad host", "https://a.example", "a.example:80", "a.example/x", "-a.example", "m\u00fcnchen.example", "LOCALHOST"],
)
async def test_what_no_browser_would_ask_for_is_no_host_name(deployment: Deployment, host: str) -> None:
    new = provisioning.NewTenant(slug="alpha", name="Alpha", email="a@alpha.example", hosts=("b.example", host))

    with pytest.raises(Invalid, match="cannot be a tenant's host name"):
        await provisioning.create_tenant(deployment, new)
    assert await deployment.registry.list_tenants() == []


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_host_name_is_found_however_it_was_typed(deployment: Deployment) -> None:
    new = provisioning.NewTenant(slug="alpha", name="Alpha", email="a@alpha.example", hosts=(" Billing.Example.NET. ",))
    await provisioning.create_tenant(deployment, new)

    async with visitor(deployment, "billing.example.net") as page:
        assert (await page.get("/login")).status_code == 200


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_the_command_refuses_what_the_console_does_all_of_it_at_once(deployment: Deployment) -> None:
    command = ("tenant", "create", "alpha", "--email", "a@alpha.example")
    wrong = ("--country", "Germany", "--currency", "XYZ", "--zone", "Europe/Nowhere", "--language", "fr")

    async def run(*more: str) -> tuple[int, str]:
        ended = await asyncio.to_thread(CliRunner().invoke, main, [*command, *more], env=environment_of(deployment))
        return ended.exit_code, ended.output

    code, said = await run(*wrong)
    nameless, _ = await run("--name", " ", "--person", "")

    assert code == 1
    assert [name in said for name in ("country: ", "currency: ", "--zone: ", "language: ")] == [True] * 4
    assert nameless == 0
    record = await deployment.registry.get_by_slug("alpha")
    assert record.name == "alpha"


async def test_a_tenant_that_cannot_be_made_leaves_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*arguments: object) -> str:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(provisioning, "_fill", fails)
        with pytest.raises(RuntimeError):
            await made(deployment, "alpha")

    assert await deployment.registry.list_tenants() == []
    assert list((deployment.config.data / "tenants").iterdir()) == []
    assert (await made(deployment, "alpha")).record.status == "active"


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_on_a_full_disk_none_is_made_and_that_is_said(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr("core.database.owner.shutil.copyfile", full)
    with pytest.raises(DiskFull):
        await made(deployment, "alpha")

    assert await deployment.registry.list_tenants() == []


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_tenants_file_that_is_another_ones_is_refused_and_the_other_is_served(deployment: Deployment) -> None:
    one, other = await made(deployment, "alpha"), await made(deployment, "beta")
    for tenant in (one, other):
        await deployment.placement.forget(tenant.record.uuid)
    file = deployment.placement.file(one.record.uuid)
    for part in file.parent.glob("tenant.sqlite*"):
        part.unlink()
    shutil.copyfile(deployment.placement.file(other.record.uuid), file)
    deployment.forget_all()

    async with visitor(deployment, "alpha.localhost") as page:
        replaced = await page.get("/login")
    async with visitor(deployment, "beta.localhost") as page:
        served = await page.get("/login")

    assert (replaced.status_code, served.status_code) == (503, 200)
    assert str(other.record.uuid) not in replaced.text


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_corrupted_file_harms_no_other_tenant(deployment: Deployment) -> None:
    one, _ = await made(deployment, "alpha"), await made(deployment, "beta")
    await deployment.placement.forget(one.record.uuid)
    deployment.forget_all()
    deployment.placement.file(one.record.uuid).write_bytes(b"not a database" * 1000)

    async with visitor(deployment, "alpha.localhost") as page:
        broken = await page.get("/login")
    async with visitor(deployment, "beta.localhost") as page:
        served = await page.get("/login")

    assert (broken.status_code, served.status_code) == (503, 200)
    assert isinstance(deployment.placement.find(one.record), SqliteDatabase)


async def test_a_plugin_is_there_where_it_is_on_and_keeps_its_data_when_off(deployment: Deployment) -> None:
    tenant = await made(deployment, "alpha")

    await enable_plugin(deployment, tenant.record, "inventory", ME)
    on = await deployment.registry.get_by_slug("alpha")
    async with deployment.scope(on, ME) as scope:
        enabled = scope.plugins
    await disable_plugin(deployment, on, "inventory", ME)
    off = await deployment.registry.get_by_slug("alpha")
    await enable_plugin(deployment, off, "inventory", ME)

    assert enabled == {"inventory"}
    assert off.plugins == ()
    assert (await deployment.registry.get_by_slug("alpha")).plugins == ("inventory",)


@pytest.mark.parametrize(
    ("vocabulary", "language", "label"),
    [("", "en", "Blocked"), ("telecom", "en", "Barred"), ("saas", "en", "Suspended"), ("telecom", "de", "Gesperrt")],
)
async def test_U3_a_tenant_begins_with_the_words_of_its_trade(
    deployment: Deployment, vocabulary: str, language: str, label: str
) -> None:
    new = provisioning.NewTenant(
        slug="alpha", name="Alpha", email="a@alpha.example", vocabulary=vocabulary, language=language
    )

    tenant = await provisioning.create_tenant(deployment, new)

    async with deployment.scope(tenant.record, ME) as scope:
        page = await statuses.get_status(scope, "blocked")
        assert page.label == label
        assert page.serve is False


async def test_U3_a_tenant_begins_with_statuses_in_its_language_and_no_line_of_the_log_calls_that_a_change(
    deployment: Deployment,
) -> None:
    new = provisioning.NewTenant(slug="alpha", name="Alpha", email="a@alpha.example", language="de")

    tenant = await provisioning.create_tenant(deployment, new)

    async with deployment.scope(tenant.record, ME) as scope:
        assert [one.label for one in await statuses.list_full(scope)] == [
            "Neu", "Aktiv", "Gesperrt", "Inaktiv", "Geschlossen", "Abgebrochen", "Gekündigt",
        ]  # fmt: skip
        assert await value("SELECT count(*) FROM activity WHERE kind LIKE 'status%'") == 0


async def test_U3_roles_rates_groups_and_methods_of_payment_are_called_in_the_language_of_the_tenant(
    deployment: Deployment,
) -> None:
    new = provisioning.NewTenant(slug="alpha", name="Alpha", email="a@alpha.example", language="de")

    tenant = await provisioning.create_tenant(deployment, new)

    async with deployment.scope(tenant.record, ME):
        assert await values("SELECT label FROM role ORDER BY id") == [
            "Administrator", "Buchhaltung", "Support", "Nur lesen",
        ]  # fmt: skip
        assert await values("SELECT name FROM tax_category ORDER BY position") == [
            "Regelsatz", "Ermäßigter Satz", "Nullsatz", "Nicht steuerbar",
        ]  # fmt: skip
        assert await values("SELECT name FROM product_group ORDER BY position") == ["Tarife", "Module", "Dienste"]
        assert await values("SELECT name FROM payment_method ORDER BY position") == [
            "Überweisung", "Bar", "Kartenterminal",
        ]  # fmt: skip


async def test_U3_a_trade_adds_its_status_in_the_language_of_the_tenant(deployment: Deployment) -> None:
    new = provisioning.NewTenant(slug="alpha", name="Alpha", email="a@alpha.example", language="de", vocabulary="isp")

    tenant = await provisioning.create_tenant(deployment, new)

    async with deployment.scope(tenant.record, ME) as scope:
        assert (await statuses.get_status(scope, "blocked")).label == "Gesperrt"
        assert (await statuses.get_status(scope, "holiday")).label == "Im Urlaub"


@pytest.mark.parametrize(
    ("language", "names"),
    [("en", ["Active", "New this month", "Overdue"]), ("de", ["Aktiv", "Neu in diesem Monat", "Überfällig"])],
)
async def test_L3_a_tenant_begins_with_shared_views_of_its_customers(
    deployment: Deployment, language: str, names: list[str]
) -> None:
    new = provisioning.NewTenant(slug="alpha", name="Alpha", email="a@alpha.example", language=language)

    tenant = await provisioning.create_tenant(deployment, new)

    async with deployment.scope(tenant.record, ME) as scope:
        found = await list_views(scope, "customers")
        assert [(one.name, one.shared) for one in found] == [(name, True) for name in names]


async def test_U3_words_of_no_trade_make_no_tenant(deployment: Deployment) -> None:
    new = provisioning.NewTenant(slug="alpha", name="Alpha", email="a@alpha.example", vocabulary="circus")

    with pytest.raises(Invalid):
        await provisioning.create_tenant(deployment, new)

    assert await deployment.registry.find_by_host("alpha.localhost") is None
