"""Two who enter the same at the same moment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.catalog import queries
from core.testing import TestTenant

pytestmark = pytest.mark.anyio


async def test_P1_products_without_a_code_that_are_made_at_once_get_codes_of_their_own(tenant: TestTenant) -> None:
    api = await tenant.api()

    made = await asyncio.gather(
        *(api.post("/api/v1/products", json={"name": "Fibre 300", "kind": "plan"}) for _ in range(4))
    )

    assert [each.status_code for each in made] == [201] * 4, [each.text for each in made]
    codes = {product.code for product in await queries.list_products()}
    assert {"fibre-300", "fibre-300-2", "fibre-300-3", "fibre-300-4"} <= codes


async def test_P1_of_two_who_type_the_same_code_at_once_one_is_told_so_at_its_field(tenant: TestTenant) -> None:
    api, page = await tenant.api(), await tenant.browser()
    parts = [await api.post("/api/v1/products", json={"name": name, "kind": "service"}) for name in "ab"]
    members = [{"product_id": each.json()["id"]} for each in parts]
    bodies: dict[str, dict[str, Any]] = {
        "/api/v1/products": {"name": "Fibre", "kind": "plan", "code": "fibre"},
        "/api/v1/product-groups": {"name": "Lines", "code": "lines", "one_live": False},
        "/api/v1/tax-categories": {"name": "Books", "code": "books"},
        "/api/v1/bundles": {"name": "Both", "code": "both", "members": members},
    }

    for path, body in bodies.items():
        both = await asyncio.gather(*(api.post(path, json=body) for _ in range(2)))

        assert sorted(each.status_code for each in both) == [201, 422], (path, [each.text for each in both])
        (refused,) = (each.json() for each in both if each.status_code == 422)
        assert [each["field"] for each in refused["errors"]] == ["code"], path
    typed = {"name": "Copper", "kind": "plan", "code": "copper"}
    answers = await asyncio.gather(*(page.post("/products", data=typed) for _ in range(2)))
    assert sorted(each.status_code for each in answers) == [303, 422]
    (again,) = (each.text for each in answers if each.status_code == 422)
    assert "A product with this code exists already." in again
    assert 'value="Copper"' in again
