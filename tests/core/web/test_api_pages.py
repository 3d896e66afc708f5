"""The API's page for people, and the document that it is made of."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from core.testing import TestTenant


class Page(HTMLParser):
    """Ids, links inside the page, and what could only be there against the policy."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [str(given["id"])] if given.get("id") else []
        if tag == "a" and str(given.get("href", "")).startswith("#"):
            self.links.add(str(given["href"])[1:])
        if tag == "style" or "style" in given or (tag == "script" and not given.get("src")):
            self.inline.append(tag)


def read(html: str) -> Page:
    page = Page()
    page.feed(html)
    return page


async def test_the_page_has_every_operation_of_the_document(tenant: TestTenant) -> None:
    anonymous = tenant.anonymous()
    document: dict[str, Any] = (await anonymous.get("/api/v1/openapi.json")).json()

    answer = await anonymous.get("/api/v1/docs")

    assert answer.status_code == 200
    page = read(answer.text)
    operations = [(method, path) for path, found in document["paths"].items() for method in found]
    assert len(operations) > 100
    for method, path in operations:
        key = re.sub("[^a-z0-9]+", "-", path.removeprefix("/api/v1").lower()).strip("-")
        assert f"{method}-{key}" in page.ids
    for name in document["components"]["schemas"]:
        assert f"schema-{name}" in page.ids
    assert page.links <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert page.inline == []
    assert "http://test.localhost/api/v1/customers" in answer.text
    assert "customers.create" in answer.text


async def test_names_of_the_document_are_ones_that_a_person_would_give(tenant: TestTenant) -> None:
    document: dict[str, Any] = (await tenant.anonymous().get("/api/v1/openapi.json")).json()

    names = list(document["components"]["schemas"])
    ids = [one["operationId"] for found in document["paths"].values() for one in found.values()]

    assert all(re.fullmatch("[A-Z][A-Za-z0-9]+", name) for name in names)
    assert "PageOfCustomerItem" in names
    assert len(ids) == len(set(ids))
    assert "customers_list_customers" in ids
    assert all(one["tags"] for found in document["paths"].values() for one in found.values())


@pytest.mark.plugins("inventory")
async def test_a_plugins_operations_are_there_where_it_is_on(tenant: TestTenant) -> None:
    assert "/api/v1/inventory/items" in (await tenant.anonymous().get("/api/v1/docs")).text


async def test_without_the_plugin_its_operations_are_not_there_and_the_page_reads_in_german(tenant: TestTenant) -> None:
    answer = await tenant.anonymous().get("/api/v1/docs", headers={"accept-language": "de"})

    assert "/api/v1/inventory/items" not in answer.text
    assert '<html lang="de"' in answer.text
    assert "Link zu dieser Operation" in answer.text
