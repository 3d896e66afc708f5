"""Deeds on many rows of a list, in tests: done over JSON, with the work that they leave."""

from __future__ import annotations

from collections.abc import Sequence

from core.jobs import claims
from core.jobs.attempts import attempt
from core.lists.jobs import JOBS
from core.testing import TestTenant

KINDS = {kind.name: kind for kind in JOBS}


async def done_to(tenant: TestTenant, base: str, action: str, ids: Sequence[int]) -> dict[str, object]:
    """The deed on these rows of the list at `base`; gives what became of them."""
    api = await tenant.api()
    begun = await api.post(f"/api/v1{base}/bulk", json={"action": action, "ids": list(ids), "at_once": True})
    assert begun.status_code < 300, begun.text
    scope = tenant.scope()
    while due := await claims.due_jobs(list(KINDS), scope.now()):
        for one in due:
            claim = await claims.claim(KINDS[one.kind], one.id, scope.now())
            assert claim is not None
            await attempt(scope, KINDS[one.kind], claim)
    told: dict[str, object] = (await api.get(f"/api/v1{base}/bulk/{begun.json()['id']}")).json()
    return told
