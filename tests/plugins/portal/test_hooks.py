"""Other plugins in the customers' portal: their entries of its menu, their cards on its first page."""

from __future__ import annotations

import pytest

import core.testing
from core import hookspecs
from core.activity.asking import nothing_kept
from core.app import HOOK_MODULES
from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.database import OneCustomer
from core.hooks import HookSets, Panel, PortalPage
from core.scope import Scope
from core.testing import TestTenant
from plugins.portal import actions as portal
from plugins.portal import plugin, words
from tests.core.hooks.modules import module

pytestmark = pytest.mark.plugins("portal")


async def test_a_plugins_page_and_card_stand_in_the_portal_and_one_that_fails_is_left_out(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def portal_pages(scope: Scope) -> list[PortalPage]:
        assert isinstance(scope.actor.reach, OneCustomer)
        return [PortalPage(key="depth", label="Your depth", href="/portal/probe", icon="wifi", place=30)]

    async def portal_cards(scope: Scope, customer_id: int) -> list[Panel]:
        return [
            Panel(key="torn", title="A torn sail", template="portal/_services.html"),
            Panel(
                key="depth",
                title=f"Depth of {customer_id}",
                template="portal/_services.html",
                values={"services": [], "words": words},
            ),
        ]

    async def broken(scope: Scope) -> list[PortalPage]:
        raise RuntimeError("the line broke")

    probe = module("probe", portal_pages=portal_pages, portal_cards=portal_cards)
    faulty = module("faulty", portal_pages=broken)
    sets = HookSets(
        hookspecs, (*HOOK_MODULES, ("portal", plugin), ("probe", probe), ("faulty", faulty)), [], guard=nothing_kept
    )
    customer_id = await customers.create_customer(tenant.scope(), NewCustomer(full_name="Tarrow Pike"))
    await customers.set_password(tenant.scope(), customer_id, "harbour lantern seven oaks")
    monkeypatch.setattr(core.testing, "hook_sets", lambda: sets)
    page = await tenant.behind("portal", portal.CUSTOMER, customer_id)

    first, other = await page.get("/portal"), await page.get("/portal/services")

    for shown in (first, other):
        assert shown.status_code == 200
        assert 'href="/portal/probe"' in shown.text
        assert shown.text.index("/portal/services") < shown.text.index("/portal/probe") < shown.text.index(">Me<")
    assert f"Depth of {customer_id}" in first.text
    assert "A torn sail" not in first.text, "what fails is left out"
    assert "Depth of" not in other.text
