"""Checks of VAT ids, noted by hand (B6): on the customer's page, over JSON, in the log, and how long they are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

from core.activity.queries import timeline
from core.activity.unit import unit_of_work
from core.billing import actions as billing
from core.billing.actions import invoices
from core.billing.erasing import erase_retained
from core.billing.schemas import NewDraft, NewLine
from core.billing.vat_asking import ask_soon
from core.billing.vat_checks import NewVatCheck, keep_check, note_check, standing_of
from core.customers import actions as customers
from core.customers.actions.anonymise import anonymise_customer, forget_the_anonymised
from core.customers.importing.actions import stage_import, take_over, undo_import
from core.customers.importing.profiles import Mapping
from core.customers.queries import get_customer
from core.customers.schemas import NewCustomer
from core.database import Partitions, execute, rows, value, values
from core.scope import ALL_PERMISSIONS, Actor, Scope

if TYPE_CHECKING:
    from core.testing import TestTenant

PARTIAL = {"hx-request": "true", "hx-request-type": "partial"}
VAT_ID, ANOTHER = "DE136695976", "DE129273398"


async def an_import(scope: Scope, folder: Path, *vat_ids: str) -> int:
    """Customers of these VAT ids, taken over from a file; gives the import, to be undone."""
    file = folder / "customers.csv"
    file.write_text("name,company,country,vat_id\n" + "".join(f"Ada,Ada GmbH,DE,{each}\n" for each in vat_ids))
    batch_id = (await stage_import(scope, file, Mapping())).batch
    assert batch_id is not None
    await take_over(scope, batch_id, mode="skip-bad")
    return batch_id


async def a_company(tenant: TestTenant, vat_id: str = VAT_ID, **given: Any) -> int:
    fields = {"full_name": "Brenk GmbH", "kind": "company", "country": "DE", **given}
    customer_id = await customers.create_customer(tenant.scope(), NewCustomer(**fields))
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET vat_id = :vat_id WHERE id = :id", vat_id=vat_id, id=customer_id)
    return customer_id


async def an_invoice(tenant: TestTenant, customer_id: int) -> int:
    lines = [NewLine(description="Work", unit_price_e6=100_000_000)]
    invoice_id = await billing.create_draft(tenant.scope(), NewDraft(payer_id=customer_id, lines=lines))
    await billing.issue(tenant.scope(), invoice_id)
    return invoice_id


async def test_B6_a_check_is_noted_on_the_page_and_told_with_how_long_it_counts(tenant: TestTenant) -> None:
    customer_id = await a_company(tenant)
    page, at = await tenant.browser(), f"/customers/{customer_id}/vat-checks"
    before = unescape((await page.get(at)).text)

    noted = await page.post(at, data={"valid": "yes", "checked_on": "2026-11-20", "consultation": " WAPI  1 "})
    after = unescape((await page.get(at)).text)
    beside = (await page.get(f"{at}/standing", headers=PARTIAL)).text
    why = unescape((await page.get(f"{at}/why", headers=PARTIAL)).text)

    assert "No check yet" in before
    assert "never checked" in before
    assert noted.status_code == 303, noted.text
    assert "the customer owes the tax itself" in after
    assert ("WAPI 1" in after, "20\u00a0Nov\u00a02026" in after, "17\u00a0Feb\u00a02027" in after) == (True, True, True)
    assert "Reverse charge until 17\u00a0Feb\u00a02027" in beside
    assert ("for 90 days" in why, "WAPI 1" in why) == (True, True)
    assert f"{at}/standing" in (await page.get(f"/customers/{customer_id}")).text


async def test_B6_a_customer_without_a_vat_id_has_nothing_to_look_at_beside_it(tenant: TestTenant) -> None:
    customer_id = await a_company(tenant, "")
    page = await tenant.browser()

    shown = (await page.get(f"/customers/{customer_id}/vat-checks")).text

    assert "vat-checks" not in (await page.get(f"/customers/{customer_id}")).text
    assert "The customer has no VAT id." in shown
    assert "Note a check" not in shown


@pytest.mark.parametrize(
    ("vat_id", "given", "field", "told"),
    [
        ("", {}, "vat_id", "The customer has no VAT id."),
        ("CHE116281710MWST", {}, "vat_id", "is no VAT id of a member of the EU"),
        ("GB980780684", {}, "vat_id", "is no VAT id of a member of the EU"),
        ("SI1234567890", {}, "vat_id", "is no VAT id of a member of the EU"),
        ("IE6388047V", {}, "vat_id", "of your own country"),
        (VAT_ID, {"vat_id": ANOTHER}, "vat_id", f"is {VAT_ID} now"),
        (VAT_ID, {"checked_on": "2026-11-24"}, "checked_on", "not ahead"),
        (VAT_ID, {"checked_on": "1999-12-31"}, "checked_on", "from 2000 on"),
        (VAT_ID, {"consultation": "W" * 61}, "consultation", ""),
    ],
)
async def test_B6_what_cannot_be_is_refused_naming_the_field_and_nothing_is_kept(
    tenant: TestTenant, vat_id: str, given: dict[str, str], field: str, told: str
) -> None:
    customer_id = await a_company(tenant, vat_id)
    api, page = await tenant.api(), await tenant.browser()
    path = f"/customers/{customer_id}/vat-checks"

    answer = await api.post(f"/api/v1{path}", json={"valid": True, **given})
    shown = await page.post(path, data={"valid": "yes", **given})

    assert answer.status_code == shown.status_code == 422, (answer.text, shown.text[:300])
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert told in answer.json()["errors"][0]["message"]
    assert told in unescape(shown.text)
    assert await values("SELECT id FROM vat_check") == []


async def test_B6_over_json_a_check_is_noted_and_the_answers_are_listed(tenant: TestTenant) -> None:
    customer_id = await a_company(tenant)
    api, path = await tenant.api(), f"/api/v1/customers/{customer_id}/vat-checks"

    first = await api.get(path)
    noted = await api.post(path, json={"valid": True, "consultation": "WAPIAAAA", "vat_id": VAT_ID})
    tenant.clock.move(timedelta(hours=1))
    refused = await api.post(path, json={"valid": False})

    assert (first.json()["free"], first.json()["reason"], first.json()["checks"]) == (False, "not_checked", [])
    assert (noted.status_code, noted.json()["free"], noted.json()["reason"]) == (201, True, "valid")
    assert noted.json()["checks"][0]["consultation"] == "WAPIAAAA"
    assert (refused.json()["free"], refused.json()["reason"], refused.json()["counts_until"]) == (
        False, "not_valid", None,
    )  # fmt: skip
    assert [each["valid"] for each in (await api.get(path)).json()["checks"]] == [False, True]


async def test_B6_a_check_stands_in_the_activity_and_its_id_is_erased_from_it(tenant: TestTenant) -> None:
    customer_id = await a_company(tenant)
    scope = tenant.scope()

    await note_check(scope, customer_id, NewVatCheck(valid=True, consultation="WAPIAAAA"))
    (line,) = await timeline(scope, customer_id=customer_id, limit=1)

    assert line.kind == "vat_id_found_valid"
    assert {each.field: each.new for each in line.changes} == {
        "vat_id": VAT_ID, "checked_on": "2026-11-22", "consultation_number": "WAPIAAAA",
    }  # fmt: skip
    await is_forgotten(tenant, customer_id)
    emptied = next(each for each in await timeline(scope, customer_id=customer_id) if each.kind == line.kind)
    assert [each.new for each in emptied.changes] == [None, None, None]


async def test_B6_who_may_only_see_customers_notes_nothing(tenant: TestTenant) -> None:
    customer_id = await a_company(tenant)
    page = await tenant.browser(staff_id=await tenant.staff_with({"customers.view"}))

    shown = await page.get(f"/customers/{customer_id}/vat-checks")
    refused = await page.post(f"/customers/{customer_id}/vat-checks", data={"valid": "yes"})

    assert (shown.status_code, "Note a check" in shown.text) == (200, False)
    assert refused.status_code == 403


async def test_B6_an_invoice_says_by_which_check_it_has_no_tax_whatever_was_answered_since(tenant: TestTenant) -> None:
    checked, chosen, taxed = [await a_company(tenant, each) for each in (VAT_ID, ANOTHER, "DE118716043")]
    scope = tenant.scope()
    async with unit_of_work(scope):
        await execute("UPDATE customer SET tax_profile = 'reverse_charge' WHERE id = :id", id=chosen)
    await note_check(scope, checked, NewVatCheck(valid=True, consultation="WAPIAAAA"))
    tenant.clock.move(timedelta(days=1))
    invoices = [await an_invoice(tenant, each) for each in (checked, chosen, taxed)]
    note = await billing.void(scope, invoices[0], reason="wrong")
    tenant.clock.move(timedelta(days=1))
    await note_check(scope, checked, NewVatCheck(valid=False))
    page = await tenant.browser()

    told = [unescape((await page.get(f"/invoices/{each}/why", headers=PARTIAL)).text) for each in (*invoices, note)]

    assert "DE136695976 was found valid on 22\u00a0Nov\u00a02026, WAPIAAAA" in told[0]
    assert "Chosen by staff, under Tax" in told[1]
    assert ["Reverse charge" in each for each in told] == [True, True, False, False]


async def is_forgotten(tenant: TestTenant, customer_id: int) -> None:
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = 'inactive') WHERE id = :id",
            id=customer_id,
        )
    await anonymise_customer(tenant.scope(), customer_id)


async def has_had(tenant: TestTenant, customer_id: int, *vat_ids: str) -> None:
    """Each was checked while it was the customer's."""
    for vat_id in vat_ids:
        await execute("UPDATE customer SET vat_id = :vat_id WHERE id = :id", vat_id=vat_id, id=customer_id)
        await note_check(tenant.scope(), customer_id, NewVatCheck(valid=True))


async def test_C12_without_an_invoice_every_check_goes_with_the_customer_also_of_ids_it_had_before(
    tenant: TestTenant,
) -> None:
    customer_id, another = await a_company(tenant), await a_company(tenant, "FR40303265045", full_name="Another")
    await has_had(tenant, customer_id, VAT_ID, "FR40303265045", ANOTHER)

    await is_forgotten(tenant, customer_id)

    assert await values("SELECT vat_id FROM vat_check") == ["FR40303265045"], "that of another is kept for it"
    await execute("UPDATE customer SET vat_id = '' WHERE id = :id", id=another)
    await is_forgotten(tenant, another)
    assert await values("SELECT vat_id FROM vat_check") == []


async def test_C12_checks_prove_why_invoices_have_no_tax_and_go_with_the_last_of_them(tenant: TestTenant) -> None:
    customer_id = await a_company(tenant)
    await has_had(tenant, customer_id, VAT_ID)
    invoices = [await an_invoice(tenant, customer_id)]
    tenant.clock.set(datetime(2027, 2, 1, 12, tzinfo=UTC))
    await has_had(tenant, customer_id, ANOTHER, VAT_ID)
    invoices.append(await an_invoice(tenant, customer_id))
    for invoice_id in invoices:
        await billing.write_off(tenant.scope(), invoice_id, "gone")
    await is_forgotten(tenant, customer_id)

    kept = []
    for year in (2036, 2037, 2038):
        tenant.clock.set(datetime(year, 1, 1, 12, tzinfo=UTC))
        kept.append((await erase_retained(tenant.scope()), await values("SELECT vat_id FROM vat_check ORDER BY id")))

    everything = [VAT_ID, ANOTHER, VAT_ID]
    assert kept == [(0, everything), (1, everything), (1, [])]


async def test_C12_what_an_invoice_of_another_rests_on_stays_as_long_as_its_buyer_is_kept(tenant: TestTenant) -> None:
    """Whoever asked about the id, and whoever else has it by then or had it."""
    buyer, asking = await a_company(tenant), await a_company(tenant)
    third = await a_company(tenant)
    async with unit_of_work(tenant.scope()):
        of_asking = await get_customer(tenant.scope(), asking)
        await keep_check(
            tenant.scope(), of_asking, tenant.clock.now(), valid=True, consultation="WAPIAAAA", source="registry"
        )
    first = await an_invoice(tenant, buyer)
    tenant.clock.move(timedelta(days=1))
    await has_had(tenant, buyer, VAT_ID)
    second = await an_invoice(tenant, buyer)
    await execute("UPDATE customer SET vat_id = :now WHERE id = :id", now=ANOTHER, id=buyer)
    page = await tenant.browser()

    async def proofs() -> list[bool]:
        told = [(await page.get(f"/invoices/{each}/why", headers=PARTIAL)).text for each in (first, second)]
        return ["was found valid" in unescape(each) for each in told]

    await is_forgotten(tenant, asking)
    still = await values("SELECT customer_id FROM vat_check ORDER BY id"), await proofs()
    await is_forgotten(tenant, third)
    of_buyer = await values("SELECT customer_id FROM vat_check ORDER BY id"), await proofs()
    for invoice_id in (first, second):
        await billing.write_off(tenant.scope(), invoice_id, "gone")
    await is_forgotten(tenant, buyer)
    kept = await proofs()
    tenant.clock.set(datetime(2037, 1, 1, 12, tzinfo=UTC))

    assert still == ([third, buyer], [True, True]), "who has the id by now has what was said of it"
    assert of_buyer == ([buyer, buyer], [True, True])
    assert kept == [True, True]
    assert await erase_retained(tenant.scope()) == 2
    assert await values("SELECT vat_id FROM vat_check") == []
    assert await values("SELECT document_id FROM document_vat_check") == []


async def test_C12_a_check_of_who_is_gone_without_being_erased_goes_with_the_next_night(
    tenant: TestTenant, tmp_path: Path
) -> None:
    """As customers of an import do that is undone."""
    scope = tenant.scope()
    batch_id = await an_import(scope, tmp_path, VAT_ID, ANOTHER)
    imported = [int(each) for each in await values("SELECT id FROM customer ORDER BY id")]
    await execute("UPDATE customer SET kind = 'company' WHERE id IN :ids", ids=imported)
    stays = await a_company(tenant, ANOTHER)
    await note_check(scope, imported[0], NewVatCheck(valid=True))
    async with unit_of_work(scope):
        of_second = await get_customer(scope, imported[1])
        await keep_check(scope, of_second, tenant.clock.now(), valid=True, consultation="", source="registry")

    await undo_import(scope, batch_id)
    erased = await erase_retained(scope)

    assert (erased, await values("SELECT id FROM customer")) == (0, [stays])
    assert await values("SELECT customer_id FROM vat_check") == [stays], "that of another is kept for it"
    named = "position IN (SELECT position FROM activity WHERE customer_id IN :ids) AND new IS NOT NULL"
    assert await value(f"SELECT count(*) FROM activity_value WHERE {named}", ids=imported) == 0


async def test_B6_a_check_that_somebody_else_notes_while_an_invoice_is_issued_is_not_what_it_rests_on(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL sees what others have committed since the tax was worked out."""
    buyer, another = await a_company(tenant), await a_company(tenant)
    await note_check(tenant.scope(), buyer, NewVatCheck(valid=True, consultation="WAPIAAAA"))
    write = invoices.staged_all

    async def noted_meanwhile(*statements: tuple[str, dict[str, Any]]) -> None:
        tenant.clock.move(timedelta(minutes=1))
        await note_check(tenant.scope(), another, NewVatCheck(valid=False, consultation="WAPIBBBB"))
        await write(*statements)

    monkeypatch.setattr(invoices, "staged_all", noted_meanwhile)
    invoice_id = await an_invoice(tenant, buyer)
    page = await tenant.browser()

    told = (await page.get(f"/invoices/{invoice_id}/why", headers=PARTIAL)).text

    assert await values("SELECT tax_code FROM document_line WHERE document_id = :id", id=invoice_id) == ["AE"]
    assert ("WAPIAAAA" in told, "WAPIBBBB" in told) == (True, False)


async def test_B6_invoices_from_before_proofs_were_noted_get_the_check_of_their_time(tenant: TestTenant) -> None:
    """An upgrade: the check that stood when they were issued, also where staff's choice is all there is by now."""
    checked, chosen, taxed, gone = [
        await a_company(tenant, each) for each in (VAT_ID, ANOTHER, "DE118716043", "FR40303265045")
    ]
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET tax_profile = 'reverse_charge' WHERE id = :id", id=chosen)
    for each in (checked, gone):
        await note_check(tenant.scope(), each, NewVatCheck(valid=True))
    tenant.clock.move(timedelta(days=80))
    await note_check(tenant.scope(), checked, NewVatCheck(valid=True))
    made = [await an_invoice(tenant, each) for each in (checked, chosen, taxed, gone)]
    note = await billing.void(tenant.scope(), made[0], reason="wrong")
    tenant.clock.move(timedelta(days=1))
    for each in (checked, chosen):
        await note_check(tenant.scope(), each, NewVatCheck(valid=False))
    await has_had(tenant, checked, "DE119429301")
    await billing.write_off(tenant.scope(), made[3], "gone")
    await is_forgotten(tenant, gone)
    noted = await rows(Proof, PROOFS)
    migration = import_module("core.billing.migrations.2026_11_23_0042_proofs_of_before")

    async with unit_of_work(tenant.scope()):
        await execute("DELETE FROM document_vat_check WHERE document_id <> :id", id=made[0])
        await migration.forwards()
    again = await rows(Proof, PROOFS)
    async with unit_of_work(tenant.scope()):
        await execute("DELETE FROM document_vat_check")
        await migration.forwards()

    assert [each.document_id for each in noted] == [made[0], made[3]] != [note]
    assert noted == again == await rows(Proof, PROOFS)


PROOFS = "SELECT document_id, vat_check_id FROM document_vat_check ORDER BY document_id"


class Proof(Struct, frozen=True):
    document_id: int
    vat_check_id: int


async def test_C12_a_question_about_who_is_gone_says_nothing_any_more(tenant: TestTenant, tmp_path: Path) -> None:
    """Its job holds the VAT id, also where nobody answered."""
    scope = tenant.scope()
    batch_id = await an_import(scope, tmp_path, VAT_ID)
    await execute("UPDATE customer SET kind = 'company'")
    stays = await a_company(tenant, ANOTHER)
    assert await ask_soon(scope, [int(each) for each in await values("SELECT id FROM customer")]) == 2
    await undo_import(scope, batch_id)
    await execute("UPDATE job SET state = 'done', finished_at = :now", now=tenant.clock.now())

    forgotten = await forget_the_anonymised(scope)

    assert forgotten == 1
    said = await values("SELECT payload FROM job WHERE kind = 'check_vat_id' ORDER BY id")
    assert [VAT_ID in each for each in said] == [False, False]
    assert [ANOTHER in each for each in said] == [False, True]
    assert await values("SELECT customer_id FROM job WHERE payload <> '{}' AND kind = 'check_vat_id'") == [stays]


async def test_C12_what_the_activity_says_of_who_is_gone_goes_also_where_another_took_the_check_along(
    tenant: TestTenant, tmp_path: Path
) -> None:
    scope = tenant.scope()
    batch_id = await an_import(scope, tmp_path, VAT_ID)
    imported = int(await value("SELECT id FROM customer"))
    await note_check(scope, imported, NewVatCheck(valid=True))
    alike = await a_company(tenant)

    await undo_import(scope, batch_id)
    await is_forgotten(tenant, alike)
    await erase_retained(scope)

    assert await values("SELECT id FROM vat_check") == []
    named = "position IN (SELECT position FROM activity WHERE customer_id = :id) AND new IS NOT NULL"
    assert await value(f"SELECT count(*) FROM activity_value WHERE {named}", id=imported) == 0


async def test_C12_questions_of_before_are_known_by_no_vat_id_any_more(tenant: TestTenant) -> None:
    """An upgrade: their keys named it."""
    asked = [await a_company(tenant), await a_company(tenant)]
    assert await ask_soon(tenant.scope(), asked) == 2
    others = await values("SELECT dedupe_key FROM job WHERE kind <> 'check_vat_id' ORDER BY id")
    await execute(
        "UPDATE job SET dedupe_key = 'vat_check:' || CAST(customer_id AS text) || :id WHERE kind = 'check_vat_id'",
        id=f":{VAT_ID}:2026-11-22",
    )
    migration = import_module("core.billing.migrations.2026_11_23_0043_questions_without_ids")

    async with unit_of_work(tenant.scope()):
        await migration.forwards()

    keys = await values("SELECT dedupe_key FROM job WHERE kind = 'check_vat_id'")
    assert len(keys) == 2
    assert [each for each in keys if VAT_ID in each] == []
    assert await values("SELECT dedupe_key FROM job WHERE kind <> 'check_vat_id' ORDER BY id") == others


async def a_company_of_a_reseller(tenant: TestTenant) -> int:
    customer_id = await a_company(tenant)
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET partition_id = 7 WHERE id = :id", id=customer_id)
    return customer_id


async def test_B6_what_a_resellers_staff_note_is_neither_seen_by_nor_counts_for_customers_of_others(
    tenant: TestTenant,
) -> None:
    mine, of_reseller = await a_company(tenant), await a_company_of_a_reseller(tenant)
    reseller = tenant.scope(actor=Actor("staff", 1, "Reseller", Partitions((7,)), ALL_PERMISSIONS))
    await note_check(tenant.scope(), mine, NewVatCheck(valid=True, consultation="WAPIMINE"))
    await note_check(reseller, of_reseller, NewVatCheck(valid=False, consultation="WAPIOURS"))

    seen = {
        one: await standing_of(tenant.scope(), await get_customer(tenant.scope(), one)) for one in (mine, of_reseller)
    }
    taxes = [
        await value("SELECT tax_minor > 0 FROM document WHERE id = :id", id=await an_invoice(tenant, one))
        for one in seen
    ]
    page = await tenant.browser()
    invoices = await values("SELECT id FROM document ORDER BY id")
    why = [(await page.get(f"/invoices/{one}/why", headers=PARTIAL)).text for one in invoices]

    assert [one.reason for one in seen.values()] == ["valid", "not_valid"]
    assert [[each.consultation for each in one.checks] for one in seen.values()] == [["WAPIMINE"], ["WAPIOURS"]]
    assert [bool(one) for one in taxes] == [False, True]
    assert ["WAPIMINE" in one for one in why] == [True, False]


async def test_B6_what_a_service_said_counts_for_every_customer_who_has_the_id(tenant: TestTenant) -> None:
    mine, of_reseller = await a_company(tenant), await a_company_of_a_reseller(tenant)
    async with unit_of_work(tenant.scope()):
        await keep_check(
            tenant.scope(),
            await get_customer(tenant.scope(), of_reseller),
            tenant.clock.now(),
            valid=True,
            consultation="",
            source="registry",
        )

    invoice_id = await an_invoice(tenant, mine)

    assert (await standing_of(tenant.scope(), await get_customer(tenant.scope(), mine))).free
    assert not await value("SELECT tax_minor FROM document WHERE id = :id", id=invoice_id)


@pytest.mark.parametrize("source", ["", "registry"])
async def test_B6_of_an_erased_customer_a_note_goes_though_a_resellers_customer_has_the_id(
    tenant: TestTenant, source: str
) -> None:
    mine, of_reseller = await a_company(tenant), await a_company_of_a_reseller(tenant)
    async with unit_of_work(tenant.scope()):
        await keep_check(
            tenant.scope(),
            await get_customer(tenant.scope(), mine),
            tenant.clock.now(),
            valid=True,
            consultation="",
            source=source,
        )

    await is_forgotten(tenant, mine)

    assert await values("SELECT customer_id FROM vat_check") == ([of_reseller] if source else [])
