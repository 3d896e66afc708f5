"""The page of all that happened in the tenant, under the settings."""

from __future__ import annotations

from typing import Final

from litestar import Response

from core.customers.activity_listing import ACTIVITY, SEE_ALL
from core.hooks import Permission
from core.texts import N_
from core.web.routing import get
from core.web.view import View

PERMISSIONS: Final = (Permission(SEE_ALL, N_("See the activity of the whole tenant, of staff and settings too")),)


@get("/settings/activity", permission=SEE_ALL)
async def list_activity(view: View) -> Response[str]:
    return await ACTIVITY.page(view, "customers/all_activity.html")


HANDLERS: Final = (list_activity,)
