"""The activity says what happened in the words of the pages."""

from __future__ import annotations

from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.customers.timeline import happenings
from core.testing import TestTenant
from core.web.templating import written


async def test_C13_a_new_customer_is_told_by_labels_and_days_not_by_values_of_the_database(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Ann", kind="company"))

    (created,) = await happenings(scope, customer_id=customer_id)

    told = {change.label: change.new for change in created.changes}
    assert created.text == "Customer created"
    assert (told["Kind"], told["Date added"]) == ("Company", written(scope.today(), scope.locale))
    assert "company" not in told.values()
