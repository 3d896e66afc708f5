"""What every answer of the pages says about itself, and what is said once."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from core.activity.unit import unit_of_work
from core.jobs.actions import enqueue
from core.staff.schemas import MailNotice
from core.testing import TestTenant


async def test_the_character_set_is_said_once(tenant: TestTenant) -> None:
    page = await tenant.browser()

    answers = [await page.get("/customers"), await page.get("/nothing-here"), await page.post("/logout", data={})]

    assert {answer.headers["content-type"] for answer in answers} == {"text/html; charset=utf-8"}


async def test_a_toast_waits_for_a_whole_page(tenant: TestTenant) -> None:
    page = await tenant.browser()
    page.cookies.set("toast", quote("Saved."))

    part = await page.get("/customers", headers={"hx-request": "true", "hx-request-type": "partial"})
    whole = await page.get("/customers")

    assert "set-cookie" not in part.headers
    assert "Saved." in whole.text
    assert whole.headers["set-cookie"].startswith("toast=")


async def test_a_token_with_letters_that_none_has_is_a_wrong_token(tenant: TestTenant) -> None:
    page = await tenant.browser()
    page.headers.pop("x-csrftoken")

    sent = [
        await page.post("/logout", headers=[(b"x-csrftoken", "é".encode())]),
        await page.post("/logout", data={"_csrf": "é"}),
    ]

    assert [each.status_code for each in sent] == [403, 403]
    assert "grown old" in sent[0].text


async def test_a_session_is_found_whatever_cookies_stand_beside_it(tenant: TestTenant) -> None:
    token = (await tenant.browser()).cookies["session"]
    stranger = tenant.anonymous()

    for before, after in (('prefs={"a": 1}; ', ""), ("", ";odd one=2"), ("x-session=no; ", "; y=")):
        cookies = f"{before}session={token}{after}"
        assert (await stranger.get("/profile", headers={"cookie": cookies})).status_code == 200
    for cookies in (f"x-session={token}", "session=", f"session={token}x", "session"):
        assert (await stranger.get("/profile", headers={"cookie": cookies})).status_code == 303


async def test_a_body_that_is_no_text_or_nested_without_end_cannot_be_read(tenant: TestTenant) -> None:
    api = await tenant.api()
    bodies = (b'{"full_name": "Z\xff"}', b"[" * 100_000, b'{"a":' * 100_000, b"{", b'{"full_name": "\\ud800"}')

    answers = [
        await api.post("/api/v1/customers", content=body, headers={"content-type": "application/json"})
        for body in bodies
    ]

    assert [answer.status_code for answer in answers] == [400] * 5
    assert {answer.json()["detail"] for answer in answers} == {"This request could not be read."}


@pytest.mark.parametrize("field", ["full_name", "city", "login", "street"])
async def test_a_field_with_a_character_that_cannot_be_stored_is_named(tenant: TestTenant, field: str) -> None:
    api = await tenant.api()

    answer = await api.post("/api/v1/customers", json={"full_name": "Ada", field: "A\0a"})

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


async def test_a_field_that_is_missing_or_unknown_in_a_body_is_named_wherever_it_stands(tenant: TestTenant) -> None:
    api = await tenant.api()
    line = {"description": "A visit"}

    answers = [
        await api.post("/api/v1/customers", json={}),
        await api.post("/api/v1/customers", json={"full_name": "Orla", "fax": "1"}),
        await api.post("/api/v1/customers", json={"full_name": "Orla", "emails": ["a@b.example", 3]}),
        await api.post("/api/v1/customers", json=[]),
        await api.post("/api/v1/invoices", json={"payer_id": 1, "lines": [{**line, "unit_price_e6": 1}, line]}),
    ]

    assert {answer.status_code for answer in answers} == {422}
    assert [error["field"] for answer in answers for error in answer.json()["errors"]] == [
        "full_name", "fax", "emails.1", "", "lines.1.unit_price_e6",
    ]  # fmt: skip


async def test_a_text_of_another_form_is_not_called_no_text_and_what_may_be_left_out_is_said_like_the_rest(
    tenant: TestTenant,
) -> None:
    api = await tenant.api()

    said = [
        (await api.post("/api/v1/products", json={"name": "Fibre", "kind": "plan", "code": code})).json()["errors"]
        for code in ("Ä B", 5)
    ]

    assert said == [
        [{"field": "code", "message": "This does not have the form that is asked for."}],
        [{"field": "code", "message": "Give a text."}],
    ]


@pytest.mark.parametrize("path", ["customers", "invoices", "payments", "subscriptions", "products", "staff", "tokens"])
async def test_a_list_over_json_refuses_a_parameter_that_there_is_not(tenant: TestTenant, path: str) -> None:
    api = await tenant.api()

    wrong = await api.get(f"/api/v1/{path}", params={"statsu": "active", "limit": "5"})
    right = await api.get(f"/api/v1/{path}", params={"limit": "5", "cursor": ""})

    assert wrong.status_code == 422
    assert [(each["field"], each["message"]) for each in wrong.json()["errors"]] == [
        ("statsu", "There is no parameter “statsu” here.")
    ]
    assert right.status_code == 200


async def test_a_parameter_of_an_address_is_named_as_it_is_sent(tenant: TestTenant) -> None:
    api = await tenant.api()

    wrong = [await api.get(f"/api/v1/{path}", params={"state": "odd"}) for path in ("invoices", "subscriptions")]

    assert [each.status_code for each in wrong] == [422, 422]
    assert [[one["field"] for one in each.json()["errors"]] for each in wrong] == [["state"], ["state"]]


@pytest.mark.parametrize("path", ["/customers", "/login", "/health", "/static/tenantry.css", "/nothing-here"])
async def test_HEAD_says_what_GET_says_without_its_body(tenant: TestTenant, path: str) -> None:
    page = await tenant.browser()

    head, got = await page.head(path), await page.get(path)

    assert head.content == b""
    assert head.status_code == got.status_code
    assert {*head.headers} == {*got.headers}


async def test_HEAD_of_an_answer_that_goes_on_ends_at_once(tenant: TestTenant) -> None:
    page = await tenant.browser()
    async with unit_of_work(tenant.scope()):
        job_id = await enqueue(tenant.scope(), "notify_staff", MailNotice(staff_id=1, what="", to=""))

    async with asyncio.timeout(20):
        head = await page.head(f"/jobs/{job_id}/events")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")


async def test_HEAD_over_json_needs_the_token_that_GET_needs(tenant: TestTenant) -> None:
    asked = [await each.head("/api/v1/customers") for each in (tenant.anonymous(), await tenant.api())]

    assert [each.status_code for each in asked] == [401, 200]
