"""Users and contacts of customers (C6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

from core.customers import actions, queries
from core.customers.schemas import ContactFields, NewCustomer, UserFields
from core.customers.status import Documents
from core.customers.timeline import happenings
from core.errors import Invalid, NotFound, Stale

if TYPE_CHECKING:
    from core.scope import Scope
    from core.testing import TestTenant


class Facts(Struct, frozen=True):
    facts: str


async def somebody(scope: Scope, **fields: Any) -> int:
    return await actions.create_customer(scope, NewCustomer(full_name="Ann Other", country="IE", **fields))


def contact(**fields: Any) -> ContactFields:
    return ContactFields(surname="Reyes", **fields)


async def test_C6_a_user_has_a_salutation_two_names_and_an_e_mail_and_nothing_else(scope: Scope) -> None:
    customer_id = await somebody(scope)
    user_id = await actions.add_user(scope, customer_id, UserFields(surname="Reyes", email="reyes@example.com"))

    version = await actions.change_user(
        scope,
        customer_id,
        user_id,
        UserFields(salutation="Dr", first_name="  Ana ", surname="Reyes", email="Ana@EXAMPLE.com"),
        version=1,
        change_email="now",
    )

    found = await queries.get_contact(scope, customer_id, user_id)
    assert (found.name, found.email, found.version, version) == ("Dr Ana Reyes", "Ana@example.com", 2, 2)
    assert UserFields.__struct_fields__ == ("salutation", "first_name", "surname", "email")
    with pytest.raises(NotFound):
        await actions.change_contact(scope, customer_id, user_id, contact(role="x"), version=2)


async def test_C6_every_wrong_field_is_named_and_nothing_is_written(scope: Scope) -> None:
    customer_id = await somebody(scope)

    with pytest.raises(Invalid) as refused:
        await actions.add_contact(scope, customer_id, ContactFields(email="nobody", phone="12"))

    assert {error.field for error in refused.value.errors} == {"surname", "email", "phone"}
    assert await queries.list_contacts(scope, customer_id) == []


async def test_C6_who_gets_documents_needs_an_address(scope: Scope) -> None:
    customer_id = await somebody(scope)

    with pytest.raises(Invalid, match="give an address") as refused:
        await actions.add_contact(scope, customer_id, contact(gets_invoices=True))

    assert refused.value.errors[0].field == "email"


async def test_C6_two_users_of_a_customer_do_not_share_an_e_mail(scope: Scope) -> None:
    customer_id, other = await somebody(scope), await somebody(scope)
    await actions.add_user(scope, customer_id, UserFields(surname="One", email="one@example.com"))

    with pytest.raises(Invalid, match="Another user"):
        await actions.add_user(scope, customer_id, UserFields(surname="Two", email="ONE@example.com"))

    await actions.add_user(scope, other, UserFields(surname="Two", email="one@example.com"))
    await actions.add_contact(scope, customer_id, contact(email="one@example.com"))


async def test_C6_documents_go_to_the_customer_and_a_copy_to_the_contacts_that_get_them(scope: Scope) -> None:
    customer_id = await somebody(scope, emails=["ann@example.com"], billing_emails=["bills@example.com"])
    for address, gets in (("books@example.com", True), ("site@example.com", False), ("BILLS@example.com", True)):
        await actions.add_contact(scope, customer_id, contact(email=address, gets_invoices=gets))
    customer = await queries.get_customer(scope, customer_id)

    invoices = await queries.document_recipients(scope, customer, Documents.INVOICES)
    reminders = await queries.document_recipients(scope, customer, Documents.REMINDERS)

    assert (invoices.to, invoices.cc) == (["bills@example.com"], ["books@example.com"])
    assert (reminders.to, reminders.cc) == (["bills@example.com"], [])


async def test_C6_a_customer_without_an_address_is_reached_through_its_contacts(scope: Scope) -> None:
    customer_id = await somebody(scope)
    await actions.add_contact(scope, customer_id, contact(email="books@example.com", gets_statements=True))
    customer = await queries.get_customer(scope, customer_id)

    found = await queries.document_recipients(scope, customer, Documents.STATEMENTS)

    assert (found.to, found.cc) == (["books@example.com"], [])


async def test_C6_one_document_has_no_more_copies_than_an_e_mail_takes(scope: Scope) -> None:
    customer_id = await somebody(scope)
    for number in range(20):
        await actions.add_contact(scope, customer_id, contact(email=f"c{number}@example.com", gets_invoices=True))

    with pytest.raises(Invalid, match="20 contacts get them already") as refused:
        await actions.add_contact(scope, customer_id, contact(email="more@example.com", gets_invoices=True))

    assert refused.value.errors[0].field == "gets_invoices"


async def test_C6_a_contact_that_two_save_is_shown_with_both_values(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    contact_id = await actions.add_contact(scope, customer_id, contact(role="Accounts"))
    page = await tenant.browser()
    at = f"/customers/{customer_id}/contacts/{contact_id}"

    first = await page.put(at, data={"version": "1", "surname": "Reyes", "role": "Director"})
    second = await page.put(at, data={"version": "1", "surname": "Reyes", "role": "Technician"})

    assert first.status_code == 200, first.text
    assert second.status_code == 409
    assert "Director" in second.text
    assert "Technician" in second.text
    with pytest.raises(Stale):
        await actions.change_contact(scope, customer_id, contact_id, contact(role="Technician"), version=1)
    assert (await queries.get_contact(scope, customer_id, contact_id)).role == "Director"


async def test_C6_the_page_says_that_a_new_e_mail_is_not_confirmed_and_may_lock_the_user_out(
    tenant: TestTenant,
) -> None:
    customer_id = await somebody(tenant.scope())
    page = await tenant.browser()

    added = await page.post(
        f"/customers/{customer_id}/users", data={"surname": "Reyes", "email": "reyes@example.com", "salutation": "Ms"}
    )
    shown = await page.get(f"/customers/{customer_id}/contacts")
    contact_id = re.search(r"sec-contact-(\d+)", shown.text)
    assert contact_id is not None
    editing = await page.get(f"/customers/{customer_id}/contacts/{contact_id[1]}/edit")

    assert added.status_code == 200, added.text
    assert "Ms Reyes" in shown.text
    for answer in (shown, editing):
        assert "sends no confirmation" in answer.text
        assert "may not be able to log in" in answer.text


async def test_C6_the_tab_counts_who_was_added_and_who_was_removed(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page = await tenant.browser()
    counted = re.compile(r'data-t="Users" aria-current="page" >Users<span class="t-count *">(\d+)<')

    user = await page.post(f"/customers/{customer_id}/users", data={"surname": "Reyes", "email": "reyes@example.com"})
    both = await page.post(f"/customers/{customer_id}/contacts", data={"surname": "Byrne"})
    (first, *_rest) = await queries.list_contacts(scope, customer_id)
    one = await page.delete(f"/customers/{customer_id}/contacts/{first.id}")

    assert [counted.findall(answer.text) for answer in (user, both, one)] == [["1"], ["2"], ["1"]]


async def test_C6_what_was_typed_stays_beside_its_message(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())
    page = await tenant.browser()

    refused = await page.post(
        f"/customers/{customer_id}/contacts", data={"surname": "Reyes", "email": "reyes@", "note": "By the gate"}
    )

    assert refused.status_code == 422
    assert 'id="f-contact-email-e"' in refused.text
    assert "By the gate" in refused.text
    assert 'value="reyes@"' in refused.text


async def test_C6_people_of_a_customer_stand_in_its_activity_without_their_names_in_the_facts(scope: Scope) -> None:
    customer_id = await somebody(scope)
    contact_id = await actions.add_contact(scope, customer_id, contact(role="Accounts"))
    await actions.change_contact(scope, customer_id, contact_id, contact(role="Director"), version=1)
    await actions.remove_contact(scope, customer_id, contact_id)

    lines = await happenings(scope, customer_id=customer_id, limit=3)

    assert [line.text for line in lines] == ["Contact removed", "Contact changed", "Contact added"]
    assert [(change.label, change.old, change.new) for change in lines[1].changes] == [("Role", "Accounts", "Director")]


async def test_C6_people_over_json(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())
    api = await tenant.api()
    base = f"/api/v1/customers/{customer_id}"

    user = (await api.post(f"{base}/users", json={"surname": "Reyes", "email": "reyes@example.com"})).json()
    made = (await api.post(f"{base}/contacts", json={"surname": "Roe", "phone": "01 555 0101"})).json()
    changed = await api.put(
        f"{base}/contacts/{made['id']}", json={"version": 1, "surname": "Roe", "role": "Site", "gets_invoices": True}
    )
    stale = await api.put(f"{base}/users/{user['id']}", json={"version": 7, "surname": "R", "email": "r@example.com"})
    unknown = await api.put(
        f"{base}/users/{user['id']}", json={"version": 1, "surname": "R", "email": "r@example.com", "role": "x"}
    )

    assert made["phone"] == "+353 1 555 0101"
    assert changed.status_code == 422, changed.text
    assert stale.status_code == 409
    assert unknown.status_code == 422
    assert [one["surname"] for one in (await api.get(f"{base}/users")).json()] == ["Reyes"]
    assert (await api.delete(f"{base}/users/{user['id']}")).status_code == 405
    assert (await api.delete(f"{base}/contacts/{user['id']}")).status_code == 200
    assert (await api.get(f"{base}/users")).json() == []
