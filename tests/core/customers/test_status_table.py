"""Settings, Statuses: words, colours, effects and order of the tenant's own; what may follow what; hooks that tell."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from core.activity.unit import unit_of_work
from core.catalog.actions import create_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers import actions, queries, statuses
from core.customers.actions import status_table
from core.customers.actions.status_table import NewStatus, StatusEdit
from core.customers.schemas import NewCustomer
from core.customers.status import NEEDED, TRANSITIONS
from core.database import execute, value, values
from core.errors import Conflict, Invalid
from core.jobs.kinds import KINDS
from core.subscriptions import statuses as subscription_statuses
from core.subscriptions.actions import charge_arrears, subscribe, wake
from core.subscriptions.schemas import NewSubscription
from core.testing import TestTenant

pytestmark = pytest.mark.anyio

HOLIDAY = NewStatus(key="holiday", label="On holiday", kind="live", colour="warn", bill=True, log_in=True, notify=True)


async def somebody(tenant: TestTenant, status: str) -> int:
    scope = tenant.scope()
    customer_id = await actions.create_customer(scope, NewCustomer(full_name="Ada Adler"))
    async with unit_of_work(scope):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = :key) WHERE id = :id",
            key=status,
            id=customer_id,
        )
    return customer_id


async def served(tenant: TestTenant, customer_id: int, code: str = "fibre") -> int:
    """A subscription in arrears, begun ten days ago: gives its id."""
    scope = tenant.scope()
    price = NewPrice(cycle_unit="month", amount_minor=3000, valid_from=scope.today() - timedelta(days=900))
    product_id = await create_product(
        scope, NewProduct(code=code, name=code.title(), kind="service", timing="arrears", prices=[price])
    )
    price_id = await value("SELECT max(id) FROM price")
    return await subscribe(
        scope,
        NewSubscription(
            customer_id=customer_id,
            product_id=product_id,
            price_id=int(price_id),
            starts_on=scope.today() - timedelta(days=10),
        ),
    )


async def test_U3_a_status_of_ones_own_is_added_and_may_follow_what_its_kind_may(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(tenant, "active")

    await status_table.add_status(scope, HOLIDAY)
    await actions.change_status(scope, customer_id, "holiday")

    assert (await queries.get_customer(scope, customer_id)).status_colour == "warn"
    offered = {one.key for one in await queries.list_next_statuses("holiday")}
    assert offered == {*TRANSITIONS["active"], "active"}  # type: ignore[index]  # keys are texts
    await actions.change_status(scope, customer_id, "active")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"key": "On Holiday"}, "key"),
        ({"key": "active"}, "key"),
        ({"key": "lead"}, "key"),
        ({"kind": "lead"}, "kind"),
        ({"colour": "pink"}, "colour"),
        ({"label": "active"}, "label"),
        ({"label": "   "}, "label"),
    ],
)
async def test_what_is_wrong_with_a_new_status_is_named(tenant: TestTenant, change: dict[str, str], field: str) -> None:
    fields = {"key": "holiday", "label": "On holiday", "kind": "live", "colour": "warn", **change}

    with pytest.raises(Invalid) as refused:
        await status_table.add_status(tenant.scope(), NewStatus(**fields))  # type: ignore[arg-type]  # by name

    assert field in {error.field for error in refused.value.errors}


async def test_a_status_is_removed_only_where_nobody_has_it_and_nothing_names_it(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(tenant, "active")
    await status_table.add_status(scope, HOLIDAY)

    with pytest.raises(Conflict, match="A rule names this key"):
        await status_table.remove_status(scope, "active")
    await actions.change_status(scope, customer_id, "holiday")
    with pytest.raises(Conflict, match="1 customer has it"):
        await status_table.remove_status(scope, "holiday")
    await actions.change_status(scope, customer_id, "active")
    await actions.plan_status(scope, customer_id, "holiday", scope.today() + timedelta(days=2))
    with pytest.raises(Conflict, match="1 planned change names it"):
        await status_table.remove_status(scope, "holiday")
    (planned,) = await values("SELECT id FROM planned_status")
    await actions.cancel_planned_status(scope, planned)
    await status_table.remove_status(scope, "holiday")

    assert "holiday" not in [one.key for one in await statuses.list_full(scope)]
    assert [way for way in await statuses.list_ways() if "holiday" in (way.from_key, way.to_key)] == []


async def test_statuses_are_listed_in_the_order_that_was_put(tenant: TestTenant) -> None:
    scope = tenant.scope()
    keys = [one.key for one in await statuses.list_full(scope)]
    page = await tenant.browser()

    moved = [keys[1], keys[0], *keys[2:]]
    answer = await page.post("/settings/statuses/order", data={"keys": ",".join(moved)})

    assert answer.status_code == 200
    assert [one.key for one in await statuses.list_full(scope)] == moved
    with pytest.raises(Invalid):
        await status_table.order_statuses(scope, keys[1:])


async def test_U4_what_a_rule_needs_stays_allowed_and_the_rest_is_the_tenants(tenant: TestTenant) -> None:
    scope = tenant.scope()
    ways = {(way.from_key, way.to_key) for way in await statuses.list_ways()}
    assert {(str(one), str(other)) for one, other in NEEDED} <= ways

    for needed in NEEDED:
        with pytest.raises(Conflict, match="stays allowed"):
            await status_table.set_ways(scope, ways - {needed})
    await status_table.set_ways(scope, ways - {("active", "closed")} | {("new", "blocked")})

    now = {(way.from_key, way.to_key) for way in await statuses.list_ways()}
    assert now == ways - {("active", "closed")} | {("new", "blocked")}
    customer_id = await somebody(tenant, "new")
    await actions.change_status(scope, customer_id, "blocked")
    with pytest.raises(Invalid, match="There is no status"):
        await status_table.set_ways(scope, {*ways, ("new", "nonsense")})


@pytest.mark.parametrize("name", ["isp", "telecom", "saas"])
async def test_the_words_of_a_trade_rename_and_add_and_lose_nothing(tenant: TestTenant, name: str) -> None:
    scope = tenant.scope()
    await status_table.add_status(scope, NewStatus(key="seasonal", label="Suspended", kind="ended"))
    before = {one.key: one.switches for one in await statuses.list_full(scope)}

    done = await status_table.take_vocabulary(scope, name)
    again = await status_table.take_vocabulary(scope, name)

    after = {one.key: one for one in await statuses.list_full(scope)}
    assert done
    assert again == []
    assert {key: after[key].switches for key in before} == before
    assert after["seasonal"].label == "Suspended"
    labels = [one.label.casefold() for one in after.values()]
    assert len(labels) == len(set(labels))


async def test_the_page_shows_what_each_status_does_and_who_has_it(tenant: TestTenant) -> None:
    await somebody(tenant, "active")
    page, reader = await tenant.browser(), await tenant.browser("Read only")

    shown = await page.get("/settings/statuses")
    ways = await page.get("/settings/statuses/transitions")
    read = await reader.get("/settings/statuses")

    assert shown.status_code == 200
    assert '<a href="/customers?status=active">1</a>' in shown.text
    assert 'name="bill.blocked" value="yes" checked' in shown.text
    assert "subscriptions end, final invoice" in shown.text
    assert "Money that comes in lifts a block" in ways.text
    assert read.status_code == 403 or "data-review" not in read.text


# -- other effects, for all who have the status (plan_status_effects_change) ------------------------------------------


async def test_who_is_billed_no_more_is_charged_up_to_today_and_rests(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await status_table.add_status(scope, HOLIDAY)
    customer_id = await somebody(tenant, "active")
    await served(tenant, customer_id)
    await actions.change_status(scope, customer_id, "holiday")

    (change,) = await status_table.change_statuses(scope, {"holiday": StatusEdit(bill=False)})

    told = [each.text for each in change.effects]
    assert told == [
        "Days before today that are not charged yet are charged, of 1 subscription",
        "No days from today on are charged, of 1 subscription",
    ]
    days = await value("SELECT CAST(sum(days) AS bigint) FROM charge WHERE kind = 'recurring'")
    assert days == 10
    assert await value("SELECT due_on FROM subscription_schedule") is None

    tenant.clock.move(timedelta(days=5))
    await status_table.change_statuses(scope, {"holiday": StatusEdit(bill=True)})
    assert await value("SELECT due_on FROM subscription_schedule") is not None
    assert str(await value("SELECT max(to_on) FROM unbilled_span")) == str(scope.today())


async def test_of_many_subscriptions_each_is_brought_along_by_a_job(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription_statuses, "AT_ONCE", 1)
    scope = tenant.scope()
    await status_table.add_status(scope, HOLIDAY)
    for code in ("fibre", "tv"):
        customer_id = await somebody(tenant, "active")
        await served(tenant, customer_id, code)
        await actions.change_status(scope, customer_id, "holiday")
    today = scope.today()

    await status_table.change_statuses(scope, {"holiday": StatusEdit(bill=False)})
    jobs = await values("SELECT payload FROM job WHERE kind = 'subscriptions.charge_owed' ORDER BY id")
    assert await value("SELECT count(*) FROM subscription_schedule WHERE due_on IS NOT NULL") == 0
    assert await value("SELECT count(*) FROM charge") == 0
    for payload in jobs:
        owing = KINDS["subscriptions.charge_owed"].payload_type
        assert owing is not None
        subscription_id = int(re.findall(r'"subscription_id":(\d+)', payload)[0])
        for _ in range(2):  # an attempt that was lost runs again
            await charge_arrears(scope, subscription_id, today, resting=True)

    assert await value("SELECT CAST(sum(days) AS bigint) FROM charge") == 20
    await status_table.change_statuses(scope, {"holiday": StatusEdit(bill=True)})
    assert await value("SELECT count(*) FROM job WHERE kind = 'subscriptions.wake'") == 2
    for subscription_id in await values("SELECT id FROM subscription"):
        await wake(scope, subscription_id)
    assert await value("SELECT count(*) FROM subscription_schedule WHERE due_on IS NOT NULL") == 2


async def test_U7_effects_are_reviewed_first_and_a_plan_that_is_out_of_date_is_shown_again(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await status_table.add_status(scope, HOLIDAY)
    page = await tenant.browser()
    form = {f"label.{one.key}": one.label for one in await statuses.list_full(scope)}
    for one in await statuses.list_full(scope):
        form |= {f"{name}.{one.key}": "yes" for name, on in one.switches.items() if on}
    form |= {"serve.holiday": "yes"}

    shown = await page.get("/settings/statuses/plan", params=form)
    seen = re.search(r'name="seen" value="([^"]*)"', shown.text)
    assert seen is not None, shown.text
    await somebody(tenant, "holiday")
    stale = await page.post("/settings/statuses/change", data={**form, "seen": seen[1]})
    assert stale.status_code == 409
    assert not (await statuses.get_status(scope, "holiday")).serve
    seen = re.search(r'name="seen" value="([^"]*)"', stale.text)
    assert seen is not None
    done = await page.post("/settings/statuses/change", data={**form, "seen": seen[1]})

    assert done.status_code == 303, done.text
    assert (await statuses.get_status(scope, "holiday")).serve


async def test_two_statuses_are_not_called_the_same(tenant: TestTenant) -> None:
    scope = tenant.scope()

    with pytest.raises(Invalid, match="Another status is called that"):
        await status_table.change_statuses(scope, {"blocked": StatusEdit(label="active")})
    swapped = {"blocked": StatusEdit(label="Inactive"), "inactive": StatusEdit(label="Blocked")}
    await status_table.change_statuses(scope, swapped)

    assert (await statuses.get_status(scope, "blocked")).label == "Inactive"


# -- a contract that will be over (plan_customer_status_date) ---------------------------------------------------------


async def test_a_contract_that_will_be_over_ends_its_subscriptions_on_that_day_or_not_if_given_up(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    customer_id = await somebody(tenant, "active")
    await served(tenant, customer_id)
    day = scope.today() + timedelta(days=7)

    await actions.plan_status(scope, customer_id, "terminated", day)
    assert str(await value("SELECT ends_on FROM subscription")) == str(day)
    (planned,) = await values("SELECT id FROM planned_status")
    await actions.cancel_planned_status(scope, planned)
    assert await value("SELECT ends_on FROM subscription") is None

    await actions.plan_status(scope, customer_id, "terminated", day)
    await status_table.set_ways(
        scope,
        {(way.from_key, way.to_key) for way in await statuses.list_ways()},
    )
    await actions.change_status(scope, customer_id, "inactive")
    tenant.clock.move(timedelta(days=7))
    (due,) = await actions.due_planned_statuses(scope.today())
    refusal = await actions.carry_out_planned(scope, due)

    assert refusal is not None
    assert await value("SELECT ends_on FROM subscription") is None


async def test_statuses_over_json(tenant: TestTenant) -> None:
    api = await tenant.api()
    at = "/api/v1/statuses"
    made = await api.post(at, json={"key": "holiday", "label": "On holiday", "kind": "live", "bill": True})
    assert (made.status_code, made.json()["may_become"][0]) == (201, "active")
    wrong = await api.post(at, json={"key": "A", "label": "On holiday", "kind": "live"})
    assert {fault["field"] for fault in wrong.json()["errors"]} == {"key", "label"}

    planned = await api.post(f"{at}/holiday/plan", json={"label": "Away", "serve": True})
    assert planned.json()["status"]["label"] == "Away"
    assert (await api.get(at)).json()[-1]["label"] == "On holiday"
    changed = await api.patch(f"{at}/holiday", json={"label": "Away", "serve": True})
    assert (changed.json()["status"]["label"], changed.json()["status"]["serve"]) == ("Away", True)
    taken = await api.patch(f"{at}/holiday", json={"label": "Blocked"})
    assert [fault["field"] for fault in taken.json()["errors"]] == ["label"]

    keys = [one["key"] for one in (await api.get(at)).json()]
    moved = await api.put(f"{at}/order", json={"keys": keys[::-1]})
    assert [one["key"] for one in moved.json()] == keys[::-1]
    table = (await api.get("/api/v1/status-transitions")).json()["transitions"]
    kept = [each for each in table if each != {"before": "active", "after": "closed"}]
    assert (await api.put("/api/v1/status-transitions", json={"transitions": kept})).status_code == 200
    assert (await api.put("/api/v1/status-transitions", json={"transitions": []})).status_code == 409

    assert (await api.post(f"{at}/vocabulary", json={"vocabulary": "telecom"})).status_code == 200
    gone = await api.request("DELETE", f"{at}/holiday")
    assert gone.status_code == 200
    assert (await api.request("DELETE", f"{at}/active")).status_code == 409
    assert (await api.request("DELETE", f"{at}/holiday")).status_code == 404
