"""What is done to many invoices and payments: issued, sent, deleted, taken away as PDFs and tables, allocated."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from core.billing import actions, mailing
from core.billing.jobs import DELIVER
from core.billing.schemas import NewDraft, NewLine
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value, values, watched
from core.jobs import claims
from core.jobs.attempts import attempt
from core.lists.jobs import JOBS
from core.messages.settings import MailSettings
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.settings.actions import save_settings
from core.testing import TestTenant
from tests.core.billing.test_pages import PART
from tests.stories.test_plans_and_numbers import taken

KINDS = {kind.name: kind for kind in (*JOBS, DELIVER)}


async def payer(tenant: TestTenant, name: str = "Tarrow Pike", *emails: str) -> int:
    return await create_customer(tenant.scope(), NewCustomer(full_name=name, country="IE", emails=list(emails)))


async def drafted(tenant: TestTenant, payer_id: int, euros: int = 100, *, empty: bool = False) -> int:
    lines = [] if empty else [NewLine(description="Visit", unit_price_e6=euros * 1_000_000)]
    return await actions.create_draft(tenant.scope(), NewDraft(payer_id=payer_id, lines=lines))


async def issued(tenant: TestTenant, payer_id: int, euros: int = 100) -> int:
    invoice_id = await drafted(tenant, payer_id, euros)
    await actions.issue(tenant.scope(), invoice_id)
    return invoice_id


async def work(tenant: TestTenant, *kinds: str) -> int:
    """What the worker would do of these kinds; gives how many jobs that were."""
    scope = tenant.scope()
    due = await claims.due_jobs([*(kinds or [kind.name for kind in JOBS])], scope.now())
    for one in due:
        claim = await claims.claim(KINDS[one.kind], one.id, scope.now())
        assert claim is not None
        await attempt(scope, KINDS[one.kind], claim)
    return len(due)


async def planned(
    tenant: TestTenant, api: httpx.AsyncClient, of: str, action: str, ids: Sequence[int], **typed: str
) -> Mapping[str, Any]:
    """The deed worked out for these rows."""
    order = {"action": action, "ids": list(ids), "values": typed}
    ordered = await api.post(f"/api/v1/{of}/bulk", json=order)
    assert ordered.status_code == 201, ordered.text
    await work(tenant)
    found: dict[str, Any] = (await api.get(f"/api/v1/{of}/bulk/{ordered.json()['id']}")).json()
    return found


async def done(tenant: TestTenant, api: httpx.AsyncClient, of: str, plan: Mapping[str, Any]) -> str:
    """Done as it was worked out; gives its address."""
    at = f"/api/v1/{of}/bulk/{plan['id']}"
    begun = await api.post(f"{at}/execution", json={"plan": plan["plan"]})
    assert begun.status_code == 200, begun.text
    await work(tenant)
    assert (await api.get(at)).json()["state"] == "done"
    return at


def lines_of(plan: Mapping[str, Any]) -> dict[str, tuple[int, dict[str, int]]]:
    return {line["text"]: (line["rows"], line["amounts"]) for line in plan["lines"]}


async def reasons(api: httpx.AsyncClient, at: str) -> dict[int, str]:
    return {one["id"]: one["why"] for one in (await api.get(f"{at}/rows")).json()["items"] if one["why"]}


async def test_B10_working_out_which_drafts_would_be_issued_takes_no_number(tenant: TestTenant) -> None:
    api, payer_id = await tenant.api(), await payer(tenant)
    drafts = [await drafted(tenant, payer_id) for _ in range(2)]

    with watched() as statements:
        plan = await planned(tenant, api, "invoices", "billing.issue", drafts)

    assert plan["ready"] == 2
    assert taken(statements) == []
    await done(tenant, api, "invoices", plan)
    assert await values("SELECT seq FROM document ORDER BY seq") == [1, 2]


async def test_L5_drafts_are_issued_together_as_their_plan_says_and_those_without_a_line_say_why(
    tenant: TestTenant,
) -> None:
    api, payer_id = await tenant.api(), await payer(tenant)
    first, second = await drafted(tenant, payer_id, 100), await drafted(tenant, payer_id, 50)
    empty, before = await drafted(tenant, payer_id, empty=True), await issued(tenant, payer_id)
    taken = await value("SELECT count(*) FROM document WHERE number IS NOT NULL")

    plan = await planned(tenant, api, "invoices", "billing.issue", [first, second, empty, before])
    untouched = await values("SELECT state FROM document WHERE id IN :ids", ids=[first, second, empty])
    at = await done(tenant, api, "invoices", plan)

    assert (plan["ready"], plan["nothing"], plan["refused"]) == (2, 1, 1)
    assert lines_of(plan) == {"The invoice is issued": (2, {"EUR": 18450})}
    assert untouched == ["draft"] * 3
    assert await values("SELECT state FROM document WHERE id IN :ids ORDER BY id", ids=[first, second, empty]) == [
        "issued",
        "issued",
        "draft",
    ]
    assert await reasons(api, at) == {empty: "A draft without a line cannot be issued. Add one first."}
    numbers = await values("SELECT seq FROM document WHERE number IS NOT NULL ORDER BY seq")
    assert numbers == list(range(1, taken + 3))


async def test_L5_drafts_are_deleted_together_and_what_is_issued_never_is(tenant: TestTenant) -> None:
    api, payer_id = await tenant.api(), await payer(tenant)
    draft, invoice = await drafted(tenant, payer_id), await issued(tenant, payer_id)

    plan = await planned(tenant, api, "invoices", "billing.delete_drafts", [draft, invoice], charges="waive")
    wrong = await api.post(
        "/api/v1/invoices/bulk",
        json={"action": "billing.delete_drafts", "ids": [draft], "values": {"charges": "burn"}},
    )
    at = await done(tenant, api, "invoices", plan)

    assert list(lines_of(plan)) == ["The draft is deleted"]
    assert await values("SELECT id FROM document") == [invoice]
    assert await reasons(api, at) == {invoice: "It is issued: it can be voided or credited, and is never deleted."}
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "charges")


async def test_L5_invoices_are_sent_again_once_each_and_who_cannot_get_one_says_why(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def printed(*_: object, **__: object) -> bytes:
        return b"%PDF"

    monkeypatch.setattr(mailing, "document_pdf", printed)
    api = await tenant.api()
    reached, silent = await payer(tenant, "Ann", "ann@post.example"), await payer(tenant, "Bea")
    invoice, unsent = await issued(tenant, reached), await issued(tenant, silent)
    draft = await drafted(tenant, reached)
    without = await planned(tenant, api, "invoices", "billing.send", [invoice])
    await save_settings(tenant.scope(), MailSettings(host="mail.example", sender_address="bills@op.example"))
    await work(tenant, DELIVER.name)
    first = await value("SELECT count(*) FROM message")

    plan = await planned(tenant, api, "invoices", "billing.send", [invoice, unsent, draft])
    nothing = await work(tenant, DELIVER.name)
    at = await done(tenant, api, "invoices", plan)
    jobs = await work(tenant, DELIVER.name)

    assert without["refused"] == 1
    assert lines_of(plan) == {"It goes by e-mail with its PDF": (1, {})}
    assert (nothing, jobs) == (0, 1)
    assert await value("SELECT count(*) FROM message") == first + 1
    assert await reasons(api, at) == {
        unsent: "Its customer has no e-mail address.",
        draft: "A draft has no document yet. Issue it first.",
    }


async def test_L5_pdfs_of_many_are_taken_away_in_one_file_as_they_are_stored(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    async def printed(document: Any, **_: object) -> bytes:
        made.append(1)
        return f"%PDF {document.number}".encode()

    monkeypatch.setattr(mailing, "document_pdf", printed)
    api, page, payer_id = await tenant.api(), await tenant.browser(), await payer(tenant)
    first, second, draft = (
        await issued(tenant, payer_id),
        await issued(tenant, payer_id),
        await drafted(tenant, payer_id),
    )
    await mailing.document_file(tenant.scope(), first)

    plan = await planned(tenant, api, "invoices", "billing.pdfs", [first, second, draft])
    early = await api.get(f"/api/v1/invoices/bulk/{plan['id']}/file")
    at = await done(tenant, api, "invoices", plan)
    taken = await api.get(f"{at}/file")
    report = (await page.get(f"/invoices/bulk/{plan['id']}")).text
    again = await page.get(f"/invoices/bulk/{plan['id']}/file")

    assert early.status_code == 409
    assert 'filename="invoices-' in taken.headers["content-disposition"]
    with ZipFile(io.BytesIO(taken.content)) as packed:
        numbers = await values("SELECT number FROM document WHERE id IN :ids ORDER BY id", ids=[first, second])
        assert packed.testzip() is None
        assert packed.namelist() == [f"invoice-{number.replace('/', '-')}.pdf" for number in numbers]
        assert [packed.read(name) for name in packed.namelist()] == [f"%PDF {number}".encode() for number in numbers]
    assert "Download ZIP" in report
    assert again.content[:2] == b"PK"
    assert len(made) == 2


async def test_L8_rows_that_are_ticked_are_taken_away_as_a_table(tenant: TestTenant) -> None:
    api, payer_id = await tenant.api(), await payer(tenant)
    first, _other, last = [await issued(tenant, payer_id, euros) for euros in (10, 20, 30)]

    plan = await planned(tenant, api, "invoices", "invoices.export", [first, last])
    at = await done(tenant, api, "invoices", plan)
    taken = list(csv.DictReader(io.StringIO((await api.get(f"{at}/file")).text.removeprefix("\ufeff"))))

    assert [one["Amount"] for one in taken] == ["12.30", "36.90"]
    assert {one["Customer"] for one in taken} == {"Tarrow Pike"}


async def test_L5_free_credit_of_many_payments_pays_what_their_payers_owe(tenant: TestTenant) -> None:
    scope, api = tenant.scope(), await tenant.api()
    owing, even = await payer(tenant, "Ann"), await payer(tenant, "Bea")
    free = await receive(scope, NewPayment(payer_id=owing, amount_minor=15_000))
    idle = await receive(scope, NewPayment(payer_id=even, amount_minor=700))
    invoice = await drafted(tenant, owing)
    await actions.issue(scope, invoice)
    await free_again(tenant, invoice)

    plan = await planned(tenant, api, "payments", "payments.allocate", [free, idle])
    await done(tenant, api, "payments", plan)

    assert (plan["ready"], plan["nothing"]) == (1, 1)
    assert lines_of(plan) == {
        "Free credit pays open invoices": (1, {"EUR": 12_300}),
        "Invoices are settled": (1, {}),
    }
    assert await value("SELECT open_minor FROM document_state WHERE document_id = :id", id=invoice) == 0


async def free_again(tenant: TestTenant, invoice: int) -> None:
    """What paid it is free again, and it is open."""
    for allocation in await values("SELECT id FROM allocation WHERE document_id = :id", id=invoice):
        await actions.unallocate(tenant.scope(), allocation)


async def test_L5_each_deed_needs_its_own_permission(tenant: TestTenant) -> None:
    payer_id = await payer(tenant)
    draft = await drafted(tenant, payer_id)
    page = await tenant.browser(staff_id=await tenant.staff_with({"documents.view", "documents.edit"}))

    bar = (await page.get("/invoices", headers=PART)).text
    answers = [
        await page.post("/invoices/bulk", data={"action": f"{action}", "id": [str(draft)]})
        for action in ("billing.issue", "billing.send", "billing.pdfs", "invoices.export", "billing.delete_drafts")
    ]

    assert 'value="billing.delete_drafts"' in bar
    assert 'value="billing.issue"' not in bar
    assert [answer.status_code for answer in answers] == [403, 403, 403, 403, 303]
