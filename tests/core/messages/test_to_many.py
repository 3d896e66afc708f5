"""Writing to many customers at once."""

from __future__ import annotations

import re

from core.activity.unit import unit_of_work
from core.customers import actions
from core.customers.schemas import NewCustomer
from core.database import execute, value, values
from core.jobs import claims
from core.jobs.attempts import attempt
from core.lists.jobs import CARRY_OUT
from core.messages.settings import MailSettings
from core.settings.actions import save_settings
from core.testing import TestTenant


async def somebody(tenant: TestTenant, name: str, email: str, status: str = "active") -> int:
    customer_id = await actions.create_customer(
        tenant.scope(), NewCustomer(full_name=name, emails=[email] if email else [])
    )
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = :key) WHERE id = :id",
            key=status,
            id=customer_id,
        )
    return customer_id


async def test_L5_each_customer_gets_one_message_and_who_cannot_be_written_to_is_told(tenant: TestTenant) -> None:
    ada = await somebody(tenant, "Ada Adler", "ada@posteo.example")
    ids = [
        ada,
        await somebody(tenant, "Bo Berg", ""),
        await somebody(tenant, "Cy Cole", "cy@posteo.example", "inactive"),
    ]
    await save_settings(tenant.scope(), MailSettings(host="127.0.0.1", port=2525, sender_address="us@posteo.example"))
    page = await tenant.browser()
    begun = await page.post("/customers/bulk", data={"action": "messages.email", "id": [str(one) for one in ids]})
    at = begun.headers["location"]
    empty = await page.post(f"{at}/plan", data={"subject": "", "text": "x"})
    await page.post(f"{at}/plan", data={"subject": "Work on Tuesday", "text": "We replace a cabinet."})
    plan = (await page.get(at)).text
    assert await value("SELECT count(*) FROM message") == 0
    seen = re.search(r'name="seen" value="(\w+)"', plan)
    assert seen is not None

    await page.post(f"{at}/execution", data={"seen": seen[1]})
    scope = tenant.scope()
    for one in await claims.due_jobs([CARRY_OUT.name], scope.now()):
        claim = await claims.claim(CARRY_OUT, one.id, scope.now())
        assert claim is not None
        await attempt(scope, CARRY_OUT, claim)

    assert empty.status_code == 422
    assert "“Work on Tuesday” goes out by e-mail" in plan
    assert "It has no e-mail address." in plan
    assert "A customer that is Inactive gets no messages." in plan
    assert await values("SELECT customer_id FROM message") == [ada]
    assert await value("SELECT kind FROM message") == "to_many"
    assert "Ada Adler" in await value("SELECT fields FROM message")
    assert await value("SELECT count(*) FROM job WHERE kind = 'send_message'") == 1


async def test_L5_without_a_mail_server_nobody_is_written_to(tenant: TestTenant) -> None:
    ada = await somebody(tenant, "Ada Adler", "ada@posteo.example")
    page = await tenant.browser()
    begun = await page.post("/customers/bulk", data={"action": "messages.email", "id": [str(ada)]})

    await page.post(f"{begun.headers['location']}/plan", data={"subject": "Hello", "text": "x", "template": "by_hand"})

    assert "No mail server is set up" in (await page.get(begun.headers["location"])).text
