"""What every answer of the pages says about itself, and what is said once."""

from __future__ import annotations

from urllib.parse import quote

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
