"""Work in progress over JSON."""

from __future__ import annotations

import pytest

from core.activity.queries import timeline
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import Partitions
from core.jobs.queries import get_job
from core.jobs.status import JobState
from core.staff import queries as staff_queries
from core.testing import TestTenant
from tests.core.dashboard.test_job_list import SAND, change, put


async def test_L2_jobs_are_listed_filtered_and_paged_over_json(tenant: TestTenant) -> None:
    api = await tenant.api({"jobs.view"})
    first, second, third = [await put(tenant, JobState.FAILED) for _ in range(3)]
    await put(tenant, JobState.DONE, SAND)
    await change(tenant, first, error="No paint is left")

    page = (await api.get("/api/v1/jobs?kind=test_paint&state=person&limit=2")).json()
    rest = (await api.get(f"/api/v1/jobs?kind=test_paint&state=person&limit=2&cursor={page['next']}")).json()
    one = await api.get(f"/api/v1/jobs/{first}")
    wrong = await api.get("/api/v1/jobs?state=lost")

    assert [row["id"] for row in page["items"] + rest["items"]] == [third, second, first]
    assert rest["next"] is None
    assert one.json() == rest["items"][0]
    assert (one.json()["label"], one.json()["error"]) == ("Paint the wall", "No paint is left")
    assert (one.json()["may_be_repeated"], one.json()["may_be_cancelled"]) == (True, True)
    assert "a secret shade" not in one.text
    assert wrong.status_code == 422
    assert (await api.get("/api/v1/jobs/999999")).status_code == 404


@pytest.mark.parametrize("state", list(JobState))
async def test_L2_work_is_repeated_and_cancelled_over_json_where_its_state_allows_it(
    tenant: TestTenant, state: JobState
) -> None:
    api = await tenant.api({"jobs.view", "jobs.edit"})
    repeated, cancelled = await put(tenant, state), await put(tenant, state)
    before = await get_job(tenant.scope(), repeated)

    again = await api.post(f"/api/v1/jobs/{repeated}/repetition")
    over = await api.post(f"/api/v1/jobs/{cancelled}/cancellation")

    assert again.status_code == (200 if before.may_be_repeated else 409)
    assert over.status_code == (200 if before.may_be_cancelled else 409)
    if again.status_code == 200:
        assert again.json()["state"] == "waiting"
    if over.status_code == 200:
        assert (over.json()["state"], over.json()["cancel_asked"]) in {("cancelled", True), ("running", True)}
        last = (await timeline(tenant.scope(), limit=1))[0]
        assert (last.kind, last.actor.partition(":")[0]) == ("job_cancelled_by_hand", "token")


async def test_L2_work_is_changed_by_who_may_and_work_about_others_does_not_exist(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await create_customer(tenant.scope(), NewCustomer(full_name="Ada Fen"))
    job_id = await put(tenant, JobState.FAILED, customer_id=ada)
    reader, api = await tenant.api({"jobs.view"}), await tenant.api()

    refused = [await reader.post(f"/api/v1/jobs/{job_id}/{deed}") for deed in ("repetition", "cancellation")]
    monkeypatch.setattr(staff_queries, "REACH", Partitions((99,)))
    hidden = [
        await api.get(f"/api/v1/jobs/{job_id}"),
        await api.post(f"/api/v1/jobs/{job_id}/repetition"),
        await api.post(f"/api/v1/jobs/{job_id}/cancellation"),
    ]

    assert [one.status_code for one in refused] == [403, 403]
    assert [one.status_code for one in hidden] == [404, 404, 404]
    assert (await api.get("/api/v1/jobs")).json()["items"] == []
    assert (await get_job(tenant.scope(), job_id)).state is JobState.FAILED
