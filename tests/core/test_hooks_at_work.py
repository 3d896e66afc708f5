"""Hooks at work: a plugin made on the spot is asked by the pages and told by the log, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest
import structlog

import core.testing
from core import hookspecs
from core.activity.asking import nothing_kept
from core.activity.delivery import PluginReader
from core.app import HOOK_MODULES
from core.customers import actions
from core.customers.events import CustomerChanged, CustomerCreated, CustomerStatusChanged
from core.customers.schemas import NewCustomer
from core.errors import Conflict
from core.hooks import Action, Fact, HookSets, Panel, Tab
from core.scope import Scope
from core.testing import TestTenant
from tests.core.hooks.modules import module

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


# ------------------------------------------------------------------ told afterwards


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("customer_created", [CustomerCreated(customer_id=7), CustomerCreated(customer_id=8)]),
        ("customer_changed", [CustomerChanged(customer_id=7)]),
        (
            "customer_status_changed",
            [CustomerStatusChanged(customer_id=7, from_key="new", to_key="active", reason="hand")],
        ),
    ],
)
async def test_facts_reach_the_handler_of_their_name(
    tenant: TestTenant, switch_on: SwitchOn, kind: str, facts: Sequence[Any]
) -> None:
    heard: list[object] = []

    async def handler(scope: Scope, events: Sequence[object]) -> None:
        heard.extend(events)

    switch_on(**{kind: handler})

    await tenant.scope().hooks.tell("probe", getattr(hookspecs, kind), scope=tenant.scope(), events=facts)

    assert heard == list(facts)
    assert PluginReader("probe", frozenset({kind}), hookspecs).kinds == {kind}
