"""Items go to customers and come back: lent, sold, rented, asked back, moved, written off."""

from __future__ import annotations

import re

import httpx
import pytest

from core.activity.queries import timeline
from core.billing import queries as documents
from core.catalog import actions as catalogue
from core.catalog.schemas import NewPrice, NewProduct
from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.database import execute, value
from core.errors import Conflict, Forbidden, Invalid
from core.scope import Scope
from core.subscriptions.queries import get_subscription, list_charges
from core.testing import TestTenant
from plugins.inventory import actions, queries, routes
from plugins.inventory.schemas import LocationFields, Move, NewItem, ProductFields, Rental, Return, Sale, WriteOff
from plugins.inventory.status import AT_PLACE, FROM, LENT, TRANSITIONS, WITH_CUSTOMER, Deed, ItemStatus

pytestmark = pytest.mark.plugins("inventory")

GOAL = {
    Deed.ASSIGN: ItemStatus.ASSIGNED,
    Deed.SELL: ItemStatus.SOLD,
    Deed.RENT: ItemStatus.RENTED,
    Deed.RETURN: ItemStatus.IN_STOCK,
    Deed.KEEP: ItemStatus.ASSIGNED,
    Deed.USE: ItemStatus.INTERNAL_USE,
    Deed.RESTOCK: ItemStatus.IN_STOCK,
    Deed.WRITE_OFF: ItemStatus.WRITTEN_OFF,
}


async def customer(scope: Scope, name: str = "Ann Other", currency: str = "EUR") -> int:
    return await customers.create_customer(scope, NewCustomer(full_name=name, country="IE", currency=currency))


async def router(scope: Scope, serial: str = "A1") -> int:
    """An item of a product that is sold for 49.00 and rented as a service at 5.00 a month."""
    known = await value("SELECT id FROM inventory_product WHERE name = 'R6'")
    if known is None:
        service = await catalogue.create_product(
            scope,
            NewProduct(
                code="device",
                name="Device rental",
                kind="service",
                prices=[
                    NewPrice(cycle_unit="month", amount_minor=500),
                    NewPrice(cycle_unit="year", amount_minor=5000),
                ],
            ),
        )
        await actions.add_product(
            scope, ProductFields(name="R6", vendor="Kestra", sell_minor=4900, rent_product_id=service)
        )
    return await actions.add_item(scope, NewItem(vendor="Kestra", product="R6", serial=serial, location="Store room"))


async def put_into(scope: Scope, item_id: int, customer_id: int, status: ItemStatus) -> None:
    """Bring an item that is in stock into a state, by the deeds that lead there."""
    match status:
        case ItemStatus.INTERNAL_USE:
            await actions.use_item(scope, item_id)
        case ItemStatus.ASSIGNED:
            await actions.assign_item(scope, item_id, customer_id)
        case ItemStatus.RENTED:
            await actions.rent_item(scope, item_id, Rental(customer_id=customer_id))
        case ItemStatus.SOLD:
            await actions.sell_item(scope, item_id, Sale(customer_id=customer_id))
        case ItemStatus.TO_RETURN:
            await actions.assign_item(scope, item_id, customer_id)
            await actions.ask_back(scope, customer_id)
        case ItemStatus.RETURNED:
            await actions.assign_item(scope, item_id, customer_id)
            await actions.return_item(scope, item_id, Return(checked=False))
        case ItemStatus.WRITTEN_OFF:
            await actions.write_off_item(scope, item_id)


async def do(scope: Scope, deed: Deed, item_id: int, customer_id: int) -> None:
    match deed:
        case Deed.ASSIGN:
            await actions.assign_item(scope, item_id, customer_id)
        case Deed.SELL:
            await actions.sell_item(scope, item_id, Sale(customer_id=customer_id))
        case Deed.RENT:
            await actions.rent_item(scope, item_id, Rental(customer_id=customer_id))
        case Deed.RETURN:
            await actions.return_item(scope, item_id)
        case Deed.KEEP:
            await actions.keep_item(scope, item_id)
        case Deed.USE:
            await actions.use_item(scope, item_id)
        case Deed.RESTOCK:
            await actions.restock_item(scope, item_id)
        case Deed.WRITE_OFF:
            await actions.write_off_item(scope, item_id)


def test_every_deed_leads_along_the_table_of_transitions() -> None:
    for deed, goal in GOAL.items():
        for status in FROM[deed]:
            assert goal in TRANSITIONS[status], f"{deed} from {status}"


@pytest.mark.parametrize("status", list(ItemStatus))
async def test_a_deed_is_done_from_the_states_it_is_offered_in_and_from_no_other(
    tenant: TestTenant, status: ItemStatus
) -> None:
    scope = tenant.scope()

    for deed, goal in GOAL.items():
        someone = await customer(scope, f"Somebody for {deed}")
        item_id = await router(scope, f"serial-{deed}")
        await put_into(scope, item_id, someone, status)
        before = await queries.item_after(item_id)
        assert before.status == status
        if status in FROM[deed]:
            await do(scope, deed, item_id, someone)
            assert (await queries.item_after(item_id)).status == goal
        else:
            with pytest.raises(Conflict):
                await do(scope, deed, item_id, someone)
            assert await queries.item_after(item_id) == before


async def test_what_a_customer_has_lies_at_no_location_and_comes_back_to_one(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    van = await actions.add_location(scope, LocationFields("Van"))

    await actions.assign_item(scope, item_id, someone)
    out = await queries.item_after(item_id)
    await actions.return_item(scope, item_id, Return(location_id=van))
    back = await queries.item_after(item_id)

    assert (out.location, out.customer_id, out.condition) == (None, someone, "new")
    assert (back.location, back.customer_id, back.condition) == ("Van", None, "used")


async def test_an_item_is_moved_from_place_to_place_and_its_history_tells_it(tenant: TestTenant) -> None:
    scope = tenant.scope()
    item_id = await router(scope)
    van = await actions.add_location(scope, LocationFields("Van"))

    await actions.move_item(scope, item_id, Move(van))
    with pytest.raises(Conflict, match="at Van already"):
        await actions.move_item(scope, item_id, Move(van))
    with pytest.raises(Invalid):
        await actions.move_item(scope, item_id, Move(999))

    latest = (await timeline(scope, subject=("inventory_item", item_id)))[0]
    assert (latest.kind, latest.changes[0].old, latest.changes[0].new) == ("inventory_item_moved", "Store room", "Van")


async def test_a_history_holds_each_deed_with_the_states_and_the_reason(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)

    await actions.assign_item(scope, item_id, someone)
    await actions.write_off_item(scope, item_id, WriteOff("Struck by lightning"))

    latest = (await timeline(scope, subject=("inventory_item", item_id)))[0]
    assert {one.field: (one.old, one.new) for one in latest.changes} == {
        "status": ("Assigned", "Written off"),
        "reason": (None, "Struck by lightning"),
    }
    assert latest.customer_id == someone
    assert [one.kind for one in await timeline(scope, customer_id=someone)][:2] == [
        "inventory_item_written_off",
        "inventory_item_assigned",
    ]


async def test_all_that_a_customer_has_can_be_reached(tenant: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = tenant.scope()
    someone = await customer(scope)
    ids = [await router(scope, f"serial-{number}") for number in range(12)]
    for item_id in ids:
        await actions.assign_item(scope, item_id, someone)
    monkeypatch.setattr(routes, "CUSTOMERS_PAGE", 10)
    page, api = await tenant.browser(), await tenant.api()
    at = f"/inventory/customers/{someone}"

    beside = (await page.get(f"/customers/{someone}")).text
    first = (await page.get(at)).text
    rest = (await page.get(at, params={"after": ids[9]})).text
    listed = (await api.get(f"/api/v1{at}/items", params={"limit": 11})).json()
    last = (await api.get(f"/api/v1{at}/items", params={"limit": 11, "cursor": listed["next"]})).json()

    assert ">All hardware<" in beside
    assert f">Item {ids[0]}<" in beside
    assert f'href="{at}?after={ids[9]}"' in first
    assert "serial-11" not in first
    assert "serial-11" in rest
    assert f'href="{at}"' in rest
    assert [one["id"] for one in listed["items"] + last["items"]] == ids
    assert last["next"] is None


# -- selling ----------------------------------------------------------------------------------------------------------


async def test_what_is_sold_becomes_a_charge_that_the_next_invoice_takes_up(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)

    charge_id = await actions.sell_item(scope, item_id, Sale(customer_id=someone))

    (charge,) = await list_charges(scope, customer_id=someone)
    assert (charge.id, charge.amount_minor, charge.state) == (charge_id, 4900, "open")
    assert charge.description == "Kestra R6, serial number A1"
    assert await documents.list_documents(scope, payer_id=someone) == []


async def test_what_is_sold_is_written_in_the_language_of_who_pays(tenant: TestTenant) -> None:
    scope = tenant.scope()
    german, item_id = await customer(scope, "Eva Muster"), await router(scope)
    await execute("UPDATE customer SET language = 'de' WHERE id = :id", id=german)

    await actions.sell_item(scope, item_id, Sale(customer_id=german))

    (charge,) = await list_charges(scope, customer_id=german)
    assert charge.description == "Kestra R6, Seriennummer A1"


async def test_a_sale_invoiced_now_stands_on_an_issued_invoice(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)

    await actions.sell_item(scope, item_id, Sale(customer_id=someone, amount_minor=10_000, invoice="now"))

    (invoice,) = await documents.list_documents(scope, payer_id=someone)
    assert (invoice.state, invoice.net_minor) == ("issued", 10_000)


async def test_who_pays_in_another_currency_is_asked_for_a_price(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope, currency="USD"), await router(scope)

    with pytest.raises(Invalid) as refused:
        await actions.sell_item(scope, item_id, Sale(customer_id=someone))
    await actions.sell_item(scope, item_id, Sale(customer_id=someone, amount_minor=5500))

    assert refused.value.errors[0].field == "amount_minor"
    assert [(one.amount_minor, one.currency) for one in await list_charges(scope, customer_id=someone)] == [
        (5500, "USD")
    ]


async def test_a_sale_taken_back_before_the_invoice_is_charged_no_more(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    await actions.sell_item(scope, item_id, Sale(customer_id=someone))

    told = await actions.return_item(scope, item_id)
    again = await actions.sell_item(scope, item_id, Sale(customer_id=someone))

    states = {one.id: one.state for one in await list_charges(scope, customer_id=someone)}
    assert told.waived
    assert sorted(states.values()) == ["open", "waived"]
    assert states[again] == "open"


async def test_a_sale_taken_back_after_the_invoice_says_that_a_credit_note_is_due(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    await actions.sell_item(scope, item_id, Sale(customer_id=someone, invoice="now"))

    told = await actions.return_item(scope, item_id)

    assert (told.invoiced, told.waived) == (True, False)
    assert [one.state for one in await list_charges(scope, customer_id=someone)] == ["invoiced"]


async def test_selling_and_renting_need_the_permission_for_subscriptions_too(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    clerk = tenant.scope("inventory.view", "inventory.edit")

    with pytest.raises(Forbidden):
        await actions.sell_item(clerk, item_id, Sale(customer_id=someone))
    with pytest.raises(Forbidden):
        await actions.rent_item(clerk, item_id, Rental(customer_id=someone))


# -- renting ----------------------------------------------------------------------------------------------------------


async def test_what_is_rented_is_a_subscription_and_ends_with_the_return(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)

    subscription_id = await actions.rent_item(scope, item_id, Rental(customer_id=someone))
    live = await get_subscription(scope, subscription_id)
    told = await actions.return_item(scope, item_id)
    over = await get_subscription(scope, subscription_id)

    assert (live.state, live.cycle_minor, live.label) == ("active", 500, "Kestra R6 A1")
    assert told.rent_ended
    assert over.state == "ended"
    assert (await queries.item_after(item_id)).subscription_id is None


async def test_rent_goes_on_to_its_expiry_where_that_is_wanted(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    subscription_id = await actions.rent_item(scope, item_id, Rental(customer_id=someone, amount_minor=400))

    await actions.return_item(scope, item_id, Return(rent="expiry"))

    left = await get_subscription(scope, subscription_id)
    assert (left.state, left.cycle_minor) == ("active", 400)
    assert left.ends_on is not None
    assert left.ends_on > scope.today()


async def test_a_product_that_is_rented_as_nothing_must_be_told_what(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone = await customer(scope)
    item_id = await actions.add_item(scope, NewItem(product="Plain", serial="P1"))

    with pytest.raises(Invalid) as refused:
        await actions.rent_item(scope, item_id, Rental(customer_id=someone))

    assert refused.value.errors[0].field == "price_id"


async def test_hardware_is_rented_as_a_service_or_module_and_as_no_plan(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    plan = await catalogue.create_product(
        scope,
        NewProduct(code="fibre", name="Fibre", kind="plan", prices=[NewPrice(cycle_unit="month", amount_minor=3000)]),
    )
    price_id = int(await value("SELECT id FROM price WHERE product_id = :id", id=plan))

    with pytest.raises(Invalid, match="service or module"):
        await actions.rent_item(scope, item_id, Rental(customer_id=someone, price_id=price_id))
    with pytest.raises(Invalid, match="Fibre is no service or module"):
        await actions.add_product(scope, ProductFields(name="Other", rent_product_id=plan))

    assert (await queries.item_after(item_id)).status == "in_stock"


async def test_what_was_rented_and_asked_back_is_rented_again_when_it_stays(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    subscription_id = await actions.rent_item(scope, item_id, Rental(customer_id=someone))
    await actions.ask_back(scope, someone)

    await actions.keep_item(scope, item_id)

    kept = await queries.item_after(item_id)
    assert (kept.status, kept.subscription_id) == ("rented", subscription_id)


# -- customers who end ------------------------------------------------------------------------------------------------


async def test_the_plan_of_an_end_names_what_is_to_be_returned_and_asks_for_it(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone = await customer(scope)
    lent, rented, sold = [await router(scope, serial) for serial in ("A1", "A2", "A3")]
    await actions.assign_item(scope, lent, someone)
    await actions.rent_item(scope, rented, Rental(customer_id=someone))
    await actions.sell_item(scope, sold, Sale(customer_id=someone))

    plan = await customers.change_status(scope, someone, "terminated")

    assert plan is not None
    assert "2 items to return: Kestra R6 A1, Kestra R6 A2" in [one.text for one in plan.effects]
    assert [(await queries.item_after(one)).status for one in (lent, rented, sold)] == [
        "to_return",
        "to_return",
        "sold",
    ]


async def test_the_page_of_the_status_tells_what_is_to_be_returned_before_it_is_changed(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    await actions.assign_item(scope, item_id, someone)
    page = await tenant.browser()
    at = f"/customers/{someone}/status"

    ended = await page.get(at, params={"status": "cancelled"})
    active = await page.get(at, params={"status": "active"})
    unknown = await page.get(at, params={"status": "nonsense"})

    assert "1 item to return: Kestra R6 A1" in ended.text
    assert "Change to Active" in active.text
    assert "to return" not in active.text
    assert unknown.status_code == 409
    assert "cannot become “nonsense”" in unknown.text
    assert (await queries.item_after(item_id)).status == "assigned"


async def test_who_is_only_blocked_keeps_the_hardware(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    await actions.assign_item(scope, item_id, someone)
    await customers.change_status(scope, someone, "active")

    await customers.change_status(scope, someone, "blocked")

    assert (await queries.item_after(item_id)).status == "assigned"


# -- drawers ----------------------------------------------------------------------------------------------------------


def hidden(page: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text))


def sent(page: httpx.Response) -> dict[str, str]:
    """What a browser sends of a drawer in which nothing is touched."""
    (form,) = re.findall(r"<form[^>]*/deeds/[^>]*>.*?</form>", page.text, re.DOTALL)
    inputs = [
        (name[1], given[1] if (given := re.search(r' value="([^"]*)"', one)) else "")
        for one in re.findall(r"<input[^>]*>", form)
        if (name := re.search(r' name="([^"]+)"', one))
    ]
    chosen = [
        (name, next((value for value, on in options if "selected" in on), options[0][0]))
        for name, inside in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL)
        if (options := re.findall(r'<option value="([^"]*)"([^>]*)>', inside))
    ]
    return dict([*inputs, *chosen])


async def test_a_drawer_shows_what_will_happen_and_then_exactly_that_is_done(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    page = await tenant.browser()
    at = f"/inventory/items/{item_id}/deeds/sell"

    empty = await page.get(at)
    plan = await page.get(at, params={"customer": "Ann Other", "amount": "49.00"})
    untouched = await queries.item_after(item_id)
    done = await page.post(at, data={**hidden(plan), "customer": "Ann Other", "amount": "49.00"})

    assert "Customer" in empty.text
    assert "seen" not in hidden(empty)
    assert "Sell for €49.00" in plan.text
    assert (untouched.status, await value("SELECT count(*) FROM charge WHERE state = 'open'")) == ("in_stock", 1)
    assert done.status_code == 303
    assert (await queries.item_after(item_id)).customer_id == someone


async def test_a_drawer_says_who_else_could_be_meant(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await customer(scope, "Ann Other")
    await customer(scope, "Ann Another")
    item_id = await router(scope)
    page = await tenant.browser()
    at = f"/inventory/items/{item_id}/deeds/assign"

    several = await page.get(at, params={"customer": "ann"})
    nobody = await page.get(at, params={"customer": "zzz"})

    assert (several.status_code, nobody.status_code) == (422, 422)
    assert "Several are found: Ann" in several.text
    assert "Nobody is found" in nobody.text


async def test_the_plan_of_a_drawer_is_of_the_location_that_stands_in_its_field(tenant: TestTenant) -> None:
    scope = tenant.scope()
    item_id = await router(scope)
    await actions.add_location(scope, LocationFields("Van"))
    page = await tenant.browser()
    at = f"/inventory/items/{item_id}/deeds"

    use = await page.get(f"{at}/use")
    move = await page.get(f"{at}/move")
    nowhere = await page.get(f"{at}/move", params={"location_id": ""})
    moved = await page.post(f"{at}/move", data=sent(move))

    assert re.search("In stock.*→.*Internal use", visible(use))
    assert not re.search("Store room.*→.*None", visible(use))
    assert re.search(r"Store room.*→.*Van", visible(move))
    assert re.search(r"Store room.*→.*None", visible(nowhere))
    assert moved.status_code == 303
    assert (await queries.item_after(item_id)).location == "Van"


def visible(page: httpx.Response) -> str:
    """The lines of a plan without marks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text.partition("Serial number")[2]))


async def test_what_came_between_a_plan_and_the_deed_is_shown_and_nothing_is_done(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone = await customer(scope)
    await customer(scope, "Somebody Else")
    item_id = await router(scope)
    page = await tenant.browser()
    at = f"/inventory/items/{item_id}/deeds/assign"
    plan = await page.get(at, params={"customer": str(someone)})

    await actions.write_off_item(scope, item_id)
    done = await page.post(at, data={**hidden(plan), "customer": str(someone)})

    assert done.status_code == 409
    assert "cannot become assigned" in done.text


@pytest.mark.parametrize("deed", ["rent", "return", "move", "use", "restock", "write_off", "keep", "assign"])
async def test_every_drawer_opens_and_is_carried_out(tenant: TestTenant, deed: str) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    start = {
        "return": ItemStatus.RENTED,
        "restock": ItemStatus.RETURNED,
        "keep": ItemStatus.TO_RETURN,
    }.get(deed, ItemStatus.IN_STOCK)
    await put_into(scope, item_id, someone, start)
    page = await tenant.browser()
    at = f"/inventory/items/{item_id}/deeds/{deed}"
    typed = {"customer": str(someone)} if deed in ("rent", "assign") else {}

    plan = await page.get(at, params=typed)
    done = await page.post(at, data={**sent(plan), **typed})

    assert plan.status_code == 200, plan.text[:500]
    assert done.status_code == 303, done.text[:2000]


async def test_scanning_at_a_customer_assigns_what_is_in_stock_and_takes_back_what_the_customer_has(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    someone, other = await customer(scope), await customer(scope, "Somebody Else")
    item_id = await router(scope)
    page = await tenant.browser()
    at = f"/inventory/customers/{someone}/scan"

    assign = await page.get(at, params={"code": "a1"})
    await actions.assign_item(scope, item_id, someone)
    back = await page.get(at, params={"code": "a1"})
    elsewhere = await page.get(f"/inventory/customers/{other}/scan", params={"code": "a1"})
    unknown = await page.get(at, params={"code": "nothing"})

    assert "Assign Kestra R6" in assign.text
    assert hidden(assign)["back"] == f"/inventory/customers/{someone}"
    assert "Take back Kestra R6" in back.text
    assert "is assigned, with Ann Other" in elsewhere.text
    assert "Nothing has the code" in unknown.text


async def test_sale_rental_and_return_over_the_api(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone = await customer(scope)
    first, second = await router(scope, "A1"), await router(scope, "A2")
    api = await tenant.api(["inventory.view", "inventory.edit", "subscriptions.change"])

    sold = await api.post(f"/api/v1/inventory/items/{first}/sale", json={"customer_id": someone})
    rented = await api.post(
        f"/api/v1/inventory/items/{second}/rental", json={"customer_id": someone, "starts_on": str(scope.today())}
    )
    back = await api.post(f"/api/v1/inventory/items/{second}/return", json={"condition": "broken", "checked": False})
    twice = await api.post(f"/api/v1/inventory/items/{second}/return", json={})
    now = await api.post(f"/api/v1/inventory/items/{first}/sale", json={"customer_id": someone, "invoice": "now"})

    assert sold.json()["status"] == "sold"
    assert rented.json()["subscription_id"] is not None
    assert (back.json()["status"], back.json()["condition"]) == ("returned", "broken")
    assert (twice.status_code, now.status_code) == (409, 403)
    assert len((await api.get(f"/api/v1/inventory/customers/{someone}/items")).json()["items"]) == 1


def test_states_agree_with_each_other() -> None:
    assert set(TRANSITIONS) == set(ItemStatus)
    assert not WITH_CUSTOMER & AT_PLACE
    assert LENT <= WITH_CUSTOMER
