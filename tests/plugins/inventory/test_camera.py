"""Scanning by camera, as far as the server has a part in it: who may use the camera, and what pages load for it."""

from __future__ import annotations

import re
from typing import Final

import pytest

from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.testing import TestTenant, application
from core.web.routing import http_handlers
from plugins.inventory import actions
from plugins.inventory.schemas import NewItem

pytestmark = pytest.mark.plugins("inventory", "portal")

ALLOWED: Final = "camera=(self), microphone=(), geolocation=(), payment=(), usb=()"


def test_G2_no_page_but_those_that_scan_may_use_the_camera() -> None:
    assert {(method, path) for method, path, handler in http_handlers(application()) if handler.opt.get("uses")} == {
        ("GET", "/inventory/items"),
        ("GET", "/inventory/items/new"),
        ("POST", "/inventory/items"),
        ("GET", "/inventory/customers/{customer_id:int}"),
    }


async def test_G2_browsers_are_told_which_pages_may_use_the_camera(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await customers.create_customer(scope, NewCustomer(full_name="Ann Other"))
    item_id = await actions.add_item(scope, NewItem(product="R6", serial="A1"))
    page = await tenant.browser()

    async def policy(path: str) -> str:
        answer = await page.get(path)
        assert answer.status_code == 200, path
        assert "unsafe" not in answer.headers["content-security-policy"]
        return str(answer.headers["permissions-policy"])

    for path in ("/inventory/items", "/inventory/items/new", f"/inventory/customers/{customer_id}"):
        assert await policy(path) == ALLOWED, path
    for path in (
        "/",
        "/customers",
        f"/customers/{customer_id}",
        f"/inventory/items/{item_id}",
        "/inventory/products",
        "/portal/login",
    ):
        assert await policy(path) == ALLOWED.replace("self", ""), path
    refused = await page.post("/inventory/items", data={"product": "R6", "serial": ""})
    assert (refused.status_code, refused.headers["permissions-policy"]) == (422, ALLOWED)


async def test_G2_each_field_that_takes_a_code_has_a_button_for_the_camera(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await customers.create_customer(scope, NewCustomer(full_name="Ann Other"))
    await actions.add_item(scope, NewItem(product="R6", serial="A1"))
    page = await tenant.browser()

    async def fields(path: str) -> list[str]:
        """Ids of fields that the page's buttons fill; each must be there, and so must the dialog."""
        text = (await page.get(path)).text
        found = re.findall(r'<button[^>]* data-camera="([^"]+)"', text)
        assert [one for one in found if f'id="{one}"' not in text] == []
        assert ('<dialog class="t-modal" id="camera"' in text) is bool(found)
        return found

    assert await fields("/inventory/items") == ["scan"]
    assert await fields(f"/inventory/customers/{customer_id}") == ["scan"]
    assert await fields("/inventory/items/new") == ["f-serial", "f-mac", "f-barcode"]
    assert await fields("/inventory/products") == []


async def test_G2_what_reads_codes_comes_from_our_own_host_and_not_before_the_dialog_is_opened(
    tenant: TestTenant,
) -> None:
    await actions.add_item(tenant.scope(), NewItem(product="R6", serial="A1"))
    page = await tenant.browser()

    text = (await page.get("/inventory/items")).text

    named = dict(re.findall(r' data-(reader|library)="(/static/[^"]+)"', text))
    loaded = re.findall(r'<(?:script|link)[^>]* (?:src|href)="(/static/[^"]+)"', text)
    script = next(address for address in loaded if address.endswith("/plugins/inventory/camera.js"))
    assert set(named) == {"reader", "library"}
    assert not set(named.values()) & set(loaded)
    for address in (script, *named.values()):
        answer = await page.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
        assert "immutable" in answer.headers["cache-control"]
        assert not re.search(r"\beval\(|new Function\(|WebAssembly", answer.text), address


async def test_G2_an_administrator_sees_that_the_plugin_asks_for_the_camera(tenant: TestTenant) -> None:
    page = await tenant.browser()

    shown = (await page.get("/settings/plugins/inventory")).text
    other = (await page.get("/settings/plugins/portal")).text

    assert re.search(r"Asks the browser for</th><td>camera<", shown)
    assert not re.search(r"Asks the browser for</th><td>camera<", other)
