"""Hooks at work: a plugin made on the spot is asked by the pages and told by the log, on both databases."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import date
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest
import structlog

import core.testing
from core import hookspecs
from core.activity.actions import enable_reader
from core.activity.asking import nothing_kept
from core.activity.delivery import Deliveries, PluginReader
from core.activity.unit import record, unit_of_work
from core.app import HOOK_MODULES
from core.customers import actions, queries
from core.customers.actions.notes import add_note
from core.customers.events import CustomerCreated, CustomerStatusChanged
from core.customers.schemas import HierarchyFields, NewCustomer
from core.dashboard import routes as home
from core.database import execute
from core.errors import Conflict
from core.hooks import (
    Action,
    Card,
    CellValue,
    Column,
    CurrencyLock,
    Effect,
    Erasure,
    Fact,
    FirstStep,
    HookSets,
    Panel,
    SearchHit,
    Tab,
)
from core.hooks.conformance import type_hints_of
from core.money import Money
from core.scope import Scope
from core.testing import TestTenant
from tests.core.hooks.modules import answering, module

SwitchOn = Callable[..., ModuleType]


@pytest.fixture
def switch_on(monkeypatch: pytest.MonkeyPatch) -> SwitchOn:
    """Gives every tenant of this test a plugin called probe, which answers to these hooks."""

    def switched_on(**members: Any) -> ModuleType:
        probe = module("probe", **members)
        sets = HookSets(hookspecs, (*HOOK_MODULES, ("probe", probe)), [], guard=nothing_kept)
        monkeypatch.setattr(core.testing, "hook_sets", lambda: sets)
        return probe

    return switched_on


async def customer(tenant: TestTenant) -> int:
    return await actions.create_customer(tenant.scope(), NewCustomer(full_name="Ann Other"))


async def page_of(tenant: TestTenant, customer_id: int) -> str:
    answer = await (await tenant.browser()).get(f"/customers/{customer_id}")
    assert answer.status_code == 200, answer.text
    return answer.text


# ------------------------------------------------------------------ a customer's page


async def test_a_tab_a_fact_and_an_action_of_a_plugin_stand_on_the_customer_s_page(
    tenant: TestTenant, switch_on: SwitchOn
) -> None:
    async def customer_tabs(scope: Scope, customer_id: int) -> list[Tab]:
        return [Tab(key="probe", label="Probed places", href=f"/probe/{customer_id}", count=3)]

    async def customer_facts(customer_id: int) -> list[Fact]:
        return [Fact(label="Depth", value=f"{customer_id} fathoms")]

    async def customer_actions(scope: Scope) -> list[Action]:
        assert scope.may("customers.view")
        return [
            Action(label="Sound the depth", href="/probe/depth"),
            Action(label="Pull up the anchor", href="/probe/anchor", refused="It is too heavy"),
        ]

    switch_on(customer_tabs=customer_tabs, customer_facts=customer_facts, customer_actions=customer_actions)
    customer_id = await customer(tenant)

    page = await page_of(tenant, customer_id)

    assert f'href="/probe/{customer_id}"' in page
    assert "Probed places" in page
    assert f"{customer_id} fathoms" in page
    assert 'href="/probe/depth"' in page
    assert 'href="/probe/anchor"' not in page
    assert "It is too heavy" in page


async def test_a_panel_of_a_plugin_is_drawn_from_its_template(tenant: TestTenant, switch_on: SwitchOn) -> None:
    async def customer_panels(customer_id: int) -> list[Panel]:
        tags = [{"name": "sounded twice", "colour": 1}]
        return [
            Panel(key="p", title="Soundings", template="customers/_tags.html", values={"tags": tags, "may_edit": False})
        ]

    switch_on(customer_panels=customer_panels)

    page = await page_of(tenant, await customer(tenant))

    assert "Soundings" in page
    assert "sounded twice" in page


@pytest.mark.parametrize("template", ["customers/_tags.html", "probe/nowhere.html"])
async def test_a_panel_whose_template_breaks_stands_as_a_card_with_an_id(
    tenant: TestTenant, switch_on: SwitchOn, template: str
) -> None:
    async def customer_panels() -> list[Panel]:
        return [Panel(key="p", title="Soundings", template=template), Panel(key="q", title="Lines", template=template)]

    switch_on(customer_panels=customer_panels)

    with structlog.testing.capture_logs() as log:
        page = await page_of(tenant, await customer(tenant))

    failed = [line["error_id"] for line in log if line.get("plugin") == "probe"]
    assert len(failed) == 2
    assert all(error_id in page for error_id in failed)
    assert "Ann Other" in page


@pytest.mark.parametrize("hook", ["customer_tabs", "customer_facts", "customer_actions", "customer_panels"])
async def test_a_plugin_that_breaks_harms_no_page(tenant: TestTenant, switch_on: SwitchOn, hook: str) -> None:
    async def broken() -> None:
        raise ZeroDivisionError("what only the log may know")

    switch_on(**{hook: broken})

    page = await page_of(tenant, await customer(tenant))

    assert "Ann Other" in page
    assert "what only the log may know" not in page


# ------------------------------------------------------------------ refusing


async def test_a_plugin_may_refuse_a_change_of_status_and_the_person_reads_why(
    tenant: TestTenant, switch_on: SwitchOn
) -> None:
    asked: list[tuple[str, str]] = []

    async def validate_customer_status_change(customer_id: int, status_key: str, reason: str) -> None:
        asked.append((status_key, reason))
        raise Conflict("Two routers are still out.")

    switch_on(validate_customer_status_change=validate_customer_status_change)
    customer_id = await customer(tenant)

    with pytest.raises(Conflict, match="Two routers are still out"):
        await actions.change_status(tenant.scope(), customer_id, "active")

    assert asked == [("active", "hand")]
    assert "Two routers" not in await page_of(tenant, customer_id)


# ------------------------------------------------------------------ the start page and the search


async def test_a_card_and_a_step_of_a_plugin_stand_on_the_start_page(tenant: TestTenant, switch_on: SwitchOn) -> None:
    async def dashboard_cards(scope: Scope) -> list[Card]:
        return [Card(key="probe", label="Fathoms sounded", value="1,204", href="/probe")]

    async def first_steps() -> list[FirstStep]:
        return [FirstStep(title="Sound the depth", text="Before you anchor.", label="Sound", href="/probe", done=False)]

    switch_on(dashboard_cards=dashboard_cards, first_steps=first_steps)

    answer = await (await tenant.browser()).get("/")

    assert answer.status_code == 200, answer.text
    for text in ("Fathoms sounded", "1,204", "Sound the depth", "Before you anchor."):
        assert text in answer.text


async def test_a_card_that_takes_longer_comes_behind_the_start_page(
    tenant: TestTenant, switch_on: SwitchOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dashboard_cards() -> list[Card]:
        await asyncio.sleep(0.5)
        return [Card(key="probe", label="Fathoms sounded", value="1,204", href="/probe")]

    switch_on(dashboard_cards=dashboard_cards)
    monkeypatch.setattr(home, "AT_ONCE", 0.3)
    browser = await tenant.browser()

    with structlog.testing.capture_logs() as log:
        page = await browser.get("/")
        part = await browser.get("/cards")
    monkeypatch.setattr(home, "PATIENCE", 0.1)
    impatient = await browser.get("/cards")

    assert "Fathoms" not in page.text
    assert page.text.count('hx-get="/cards"') == 1
    assert page.text.count('class="t-blank"') >= 3
    assert part.status_code == 200, part.text
    assert part.text.startswith("<dl")
    assert all(text in part.text for text in ("Fathoms sounded", "1,204"))
    assert not any(text in part.text for text in ("t-blank", "hx-get"))
    assert "took too long" in impatient.text
    assert log == []


async def test_the_search_finds_what_a_plugin_knows(tenant: TestTenant, switch_on: SwitchOn) -> None:
    asked: list[tuple[str, int]] = []

    async def search_results(text: str, limit: int) -> list[SearchHit]:
        asked.append((text, limit))
        return [SearchHit(kind="Wrecks", label="Batavia", href="/probe/wrecks/1", detail="1629")]

    switch_on(search_results=search_results)
    browser = await tenant.browser()

    found = await browser.get("/search?q=bat")
    too_short = await browser.get("/search?q=b")

    assert found.status_code == 200, found.text
    assert all(text in found.text for text in ("Wrecks", "Batavia", 'href="/probe/wrecks/1"', "1629"))
    assert "Batavia" not in too_short.text
    assert [text for text, _ in asked] == ["bat"]


@pytest.mark.parametrize(
    ("hook", "path"), [("dashboard_cards", "/"), ("first_steps", "/"), ("search_results", "/search?q=bat")]
)
async def test_a_plugin_that_breaks_leaves_the_start_page_and_the_search(
    tenant: TestTenant, switch_on: SwitchOn, hook: str, path: str
) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    switch_on(**{hook: broken})

    with structlog.testing.capture_logs() as log:
        answer = await (await tenant.browser()).get(path)

    (error_id,) = [line["error_id"] for line in log if line.get("plugin") == "probe"]
    assert answer.status_code == 200
    assert (f"Failed, {error_id}" in answer.text) is (hook == "dashboard_cards")


# ------------------------------------------------------------------ the list of customers


async def test_a_plugin_s_column_stands_behind_the_list_s_own_with_one_question_for_all_rows(
    tenant: TestTenant, switch_on: SwitchOn
) -> None:
    asked: list[list[int]] = []
    values: list[CellValue] = [1204, "deep", Money(-1250, "EUR"), date(2026, 12, 1), tenant.clock.now(), True, None]

    async def customer_columns() -> list[Column]:
        return [Column(key="probe.depth", label="Depth", kind="number"), Column(key="probe.none", label="Nothing")]

    async def customer_column_values(
        customer_ids: Sequence[int], keys: Sequence[str]
    ) -> dict[str, dict[int, CellValue]]:
        asked.append(sorted(customer_ids))
        assert keys == ["probe.depth", "probe.none"]
        return {"probe.depth": dict(zip(sorted(customer_ids), values, strict=False))}

    switch_on(customer_columns=customer_columns, customer_column_values=customer_column_values)
    browser = await tenant.browser()
    empty = await browser.get("/customers")
    customers = [await customer(tenant) for _ in values]

    page = await browser.get("/customers")

    assert (empty.status_code, page.status_code) == (200, 200), page.text
    assert asked == [customers]
    assert "Depth" in page.text
    nothing = '<span class="t-2">–</span>'
    instant = "<time datetime=[^>]*>[^<]*</time>"
    cells = re.findall(
        rf'<td class="t-num">([^<]*|{nothing}|{instant})</td><td class="t-clip">{nothing}</td>', page.text
    )
    assert sorted(cells) == sorted(
        [
            "1,204",
            "deep",
            "−12.50",
            "1\xa0Dec\xa02026",
            '<time datetime="2026-11-22T09:00:00+00:00" title="22\xa0Nov\xa02026, 09:00">09:00</time>',
            "Yes",
            nothing,
        ]
    )


async def test_a_plugin_s_columns_are_filtered_and_sorted_by_on_the_page_over_json_and_in_a_saved_view(
    tenant: TestTenant, switch_on: SwitchOn
) -> None:
    """Their keys have a point; what they stand for is SQL over the plugin's own tables."""
    notes = "FROM note WHERE note.customer_id = customer.id"
    columns = [
        Column(key="probe.notes", label="Remarks", kind="number", expr=f"(SELECT count(*) {notes})"),
        Column(
            key="probe.known",
            label="Known",
            kind="choice",
            choices=(("yes", "Well known"), ("no", "Hardly")),
            expr=f"(CASE WHEN EXISTS (SELECT 1 {notes}) THEN 'yes' ELSE 'no' END)",
        ),
        Column(key="probe.mind", label="Mind", expr=f"(SELECT min(text) {notes})", sorts=False, shown=False),
    ]

    async def customer_column_values(customer_ids: Sequence[int]) -> dict[str, dict[int, CellValue]]:
        return {"probe.known": dict.fromkeys(customer_ids, "yes")}

    switch_on(customer_columns=answering(columns), customer_column_values=customer_column_values)
    ann, bob, _cid = [
        await actions.create_customer(tenant.scope(), NewCustomer(full_name=name)) for name in ("Ann", "Bob", "Cid")
    ]
    for customer_id, text in ((bob, "Rings twice"), (bob, "Pays"), (ann, "Late")):
        await add_note(tenant.scope(), customer_id, text)
    api, browser = await tenant.api(), await tenant.browser()

    async def found(query: str) -> list[str]:
        """The names in the API's order, page by page; the page has the same."""
        answer = (await api.get(f"/api/v1/customers?limit=2&{query}")).json()
        names = [row["full_name"] for row in answer["items"]]
        if answer["next"]:
            rest = (await api.get(f"/api/v1/customers?limit=2&{query}&cursor={answer['next']}")).json()
            names += [row["full_name"] for row in rest["items"]]
        page = await browser.get(f"/customers?{query}")
        assert page.status_code == 200, page.text
        assert [name for name in ("Ann", "Bob", "Cid") if f">{name}</a>" in page.text] == sorted(names)
        return names

    by_count = await found("sort=-probe.notes")
    by_two = await found("sort=probe.known,-name")
    filtered = {
        query: await found(query)
        for query in (
            "probe.notes=2",
            "probe.notes.from=1&probe.notes.to=1",
            "probe.known=no",
            "probe.known=yes,no&probe.mind.has=ate",
            "probe.mind.empty=yes",
        )
    }
    saved = await api.post(
        "/api/v1/lists/customers/views", json={"name": "Noted", "shared": True, "filters": {"probe.known": "yes"}}
    )
    shown = await browser.get("/customers")
    refused = await api.get("/api/v1/customers?probe.known=maybe")
    unsorted = await api.get("/api/v1/customers?sort=probe.mind")

    assert (by_count, by_two) == (["Bob", "Ann", "Cid"], ["Cid", "Bob", "Ann"])
    assert filtered == {
        "probe.notes=2": ["Bob"],
        "probe.notes.from=1&probe.notes.to=1": ["Ann"],
        "probe.known=no": ["Cid"],
        "probe.known=yes,no&probe.mind.has=ate": ["Ann"],
        "probe.mind.empty=yes": ["Cid"],
    }
    assert await found(f"view={saved.json()['id']}") == ["Ann", "Bob"]
    assert "Well known</td>" in shown.text
    assert "Mind</th>" not in shown.text
    assert (refused.status_code, unsorted.status_code) == (422, 422)
    assert "Known is one of yes, no" in refused.json()["detail"]


@pytest.mark.parametrize("hook", ["customer_columns", "customer_column_values"])
async def test_a_column_that_breaks_leaves_the_list(tenant: TestTenant, switch_on: SwitchOn, hook: str) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    switch_on(**{"customer_columns": answering([Column(key="probe.depth", label="Depth")]), hook: broken})
    await customer(tenant)

    with structlog.testing.capture_logs() as log:
        page = await (await tenant.browser()).get("/customers")

    (error_id,) = [line["error_id"] for line in log if line.get("plugin") == "probe"]
    assert page.status_code == 200
    assert "Ann Other" in page.text
    assert (f"Depth (failed, {error_id})" in page.text) is (hook == "customer_column_values")


# ------------------------------------------------------------------ plans


async def test_what_a_plugin_plans_for_a_change_of_status_is_done_with_it(
    tenant: TestTenant, switch_on: SwitchOn
) -> None:
    happened: list[str] = []

    async def plan_customer_status_change(scope: Scope, customer_id: int, status_key: str, on: date) -> list[Effect]:
        assert on == scope.today()
        happened.append(f"planned for {status_key}")

        async def apply(scope: Scope) -> None:
            now = await queries.get_customer(scope, customer_id)
            happened.append(f"done while {now.status}")
            await actions.add_note(scope, customer_id, "The hold was sealed.")

        return [Effect(text="The hold is sealed", kind="service", apply=apply), Effect(text="It rains", kind="warning")]

    switch_on(plan_customer_status_change=plan_customer_status_change)
    customer_id = await customer(tenant)

    await actions.change_status(tenant.scope(), customer_id, "active")

    assert happened == ["planned for active", "done while active"]
    assert [note.text for note in await queries.list_notes(tenant.scope(), customer_id)] == ["The hold was sealed."]


@pytest.mark.parametrize("when", ["planning", "doing"])
async def test_a_plan_that_cannot_be_made_or_done_changes_nothing(
    tenant: TestTenant, switch_on: SwitchOn, when: str
) -> None:
    async def plan_customer_status_change(customer_id: int) -> list[Effect]:
        async def apply(scope: Scope) -> None:
            await actions.add_note(scope, customer_id, "The hold was sealed.")
            raise Conflict("The hatch is stuck.")

        if when == "planning":
            raise ZeroDivisionError
        return [Effect(text="The hold is sealed", kind="service", apply=apply)]

    switch_on(plan_customer_status_change=plan_customer_status_change)
    customer_id = await customer(tenant)

    with pytest.raises(Conflict, match=r"plugin probe failed|The hatch is stuck"):
        await actions.change_status(tenant.scope(), customer_id, "active")

    assert (await queries.get_customer(tenant.scope(), customer_id)).status == "new"
    assert await queries.list_notes(tenant.scope(), customer_id) == []


async def test_what_a_plugin_plans_for_a_change_of_payer_is_done_with_it(
    tenant: TestTenant, switch_on: SwitchOn
) -> None:
    happened: list[str] = []

    async def plan_customer_payer_change(customer_id: int, payer_id: int) -> list[Effect]:
        async def apply(scope: Scope) -> None:
            now = await queries.get_customer(scope, customer_id)
            happened.append(f"done while {now.payer_id} pays")

        happened.append(f"planned for {payer_id}")
        return [Effect(text="The bill goes elsewhere", kind="money", apply=apply)]

    switch_on(plan_customer_payer_change=plan_customer_payer_change)
    parent_id, customer_id = await customer(tenant), await customer(tenant)

    await actions.change_hierarchy(tenant.scope(), customer_id, HierarchyFields(parent_id=parent_id), version=1)
    await actions.change_hierarchy(
        tenant.scope(), customer_id, HierarchyFields(parent_id=parent_id, payer_id=parent_id), version=2
    )

    assert happened == [f"planned for {parent_id}", f"done while {parent_id} pays"]


async def test_what_a_plugin_holds_of_a_customer_is_erased_with_it_or_keeps_it(
    tenant: TestTenant, switch_on: SwitchOn
) -> None:
    customer_id = await customer(tenant)
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET status_id = (SELECT id FROM status WHERE key = 'inactive')")
    held, waits = {customer_id: "SIM 8944"}, {customer_id: "A visit is booked. Cancel it first."}

    async def plan_customer_erasure(customer_ids: Sequence[int]) -> Erasure:
        async def apply(scope: Scope) -> None:
            for each in customer_ids:
                held.pop(each, None)

        gone = Effect(text="A SIM card", kind="data", apply=apply)
        return Erasure(refused={one: waits[one] for one in customer_ids if one in waits}, effects=[gone])

    switch_on(plan_customer_erasure=plan_customer_erasure)

    with pytest.raises(Conflict, match="A visit is booked"):
        await actions.anonymise_customer(tenant.scope(), customer_id)
    assert held == {customer_id: "SIM 8944"}
    waits.clear()
    plan = await actions.anonymise_customer(tenant.scope(), customer_id)

    assert held == {}
    assert "A SIM card" in [each.text for each in plan.effects]


# ------------------------------------------------------------------ told afterwards


@pytest.mark.parametrize(
    "kind",
    [
        "customer_created",
        "customer_changed",
        "customer_status_changed",
        "subscription_activated",
        "subscription_ended",
        "invoice_issued",
        "invoice_settled",
        "payment_received",
        "billing_run_finished",
        "plugin_enabled",
        "plugin_disabled",
    ],
)
async def test_a_fact_reaches_the_handler_of_its_name_through_the_log(
    tenant: TestTenant, switch_on: SwitchOn, kind: str
) -> None:
    heard: list[tuple[str, Sequence[object]]] = []

    async def handler(scope: Scope, events: Sequence[object]) -> None:
        heard.append((scope.actor.key, list(events)))

    switch_on(**{kind: handler})
    scope = tenant.scope()
    (event,) = get_args(type_hints_of(getattr(hookspecs, kind))["events"])
    facts = [
        event(
            **{name: sample(one, n) for name, one in get_type_hints(event).items() if name in event.__struct_fields__}
        )
        for n in (7, 8)
    ]
    await enable_reader(scope, "probe")

    async with unit_of_work(scope):
        for fact in facts:
            record(scope, fact)
    await Deliveries().turn(scope, PluginReader("probe", frozenset({kind}), hookspecs))

    assert heard == [("plugin:probe", facts)]


def sample(kind: object, n: int) -> object:
    """A value for a field of a fact."""
    return {int: n, str: f"word {n}", date: date(2027, 1, n), bool: True}.get(kind, n)  # type: ignore[call-overload]  # int | None and the like


async def test_a_plugin_hears_what_happens_to_customers_from_the_actions_that_do_it(
    tenant: TestTenant, switch_on: SwitchOn
) -> None:
    heard: list[object] = []

    async def handler(events: Sequence[object]) -> None:
        heard.extend(events)

    async def another(events: Sequence[object]) -> None:
        heard.extend(events)

    switch_on(customer_created=handler, customer_status_changed=another)
    before = await customer(tenant)
    await enable_reader(tenant.scope(), "probe")

    customer_id = await customer(tenant)
    await actions.change_status(tenant.scope(), customer_id, "active")
    kinds = frozenset({"customer_created", "customer_status_changed"})
    await Deliveries().turn(tenant.scope(), PluginReader("probe", kinds, hookspecs))

    assert before != customer_id
    assert heard == [
        CustomerCreated(customer_id=customer_id),
        CustomerStatusChanged(customer_id=customer_id, from_key="new", to_key="active", reason="hand"),
    ]


async def test_C4_a_plugin_s_own_rows_keep_a_customer_in_its_currency_by_a_condition(
    tenant: TestTenant, switch_on: SwitchOn
) -> None:
    def collect_currency_locks() -> Sequence[CurrencyLock]:
        return (
            CurrencyLock("EXISTS (SELECT 1 FROM note WHERE note.customer_id = :customer_id)", "A note names a sum."),
        )

    switch_on(collect_currency_locks=collect_currency_locks)
    noted, free = await customer(tenant), await customer(tenant)
    await add_note(tenant.scope(), noted, "Owes 5")
    page, api = await tenant.browser(), await tenant.api()

    forms = [(await page.get(f"/customers/{one}/sections/main/edit")).text for one in (noted, free)]
    answers = [
        await api.patch(f"/api/v1/customers/{one}", json={"version": 1, "main": {"currency": "USD"}})
        for one in (noted, free)
    ]

    assert ["A note names a sum." in form for form in forms] == [True, False]
    assert ['name="currency"' in form for form in forms] == [False, True]
    assert [answer.status_code for answer in answers] == [422, 200]
    assert answers[0].json()["errors"] == [{"field": "currency", "message": "A note names a sum."}]


async def test_C4_a_plugin_may_lock_the_currency_and_the_form_says_why(tenant: TestTenant, switch_on: SwitchOn) -> None:
    async def validate_customer_currency_change(customer_id: int, currency: str) -> None:
        raise Conflict("A quote is written in it.")

    switch_on(validate_customer_currency_change=validate_customer_currency_change)
    customer_id = await customer(tenant)
    page = await tenant.browser()

    editing = await page.get(f"/customers/{customer_id}/sections/main/edit")
    answer = await (await tenant.api()).patch(
        f"/api/v1/customers/{customer_id}", json={"version": 1, "main": {"currency": "USD"}}
    )

    assert "A quote is written in it." in editing.text
    assert 'name="currency"' not in editing.text
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"] == [{"field": "currency", "message": "A quote is written in it."}]
