"""What anonymising and deleting a customer share: the drawer asks for the name, and lists what goes and what stays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

from litestar import Response

from core.texts import N_, _
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, do_plan, drawer, rehearse
from core.web.parts import Field

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.hooks import Effect
    from core.web.view import View

PARTS: Final = (
    ("data", N_("Erased")),
    ("service", N_("Service")),
    ("money", N_("Money")),
    ("message", N_("Messages")),
    ("document", N_("Kept")),
)


def place_of(customer: CustomerDetail, title: str, path: str) -> Place:
    """The drawer at a path, with a field for the customer's name."""
    name = Field(
        name="name",
        label=_("Type the customer's name"),
        required=True,
        wide=True,
        max_length=200,
        help=customer.full_name,
        autocomplete="off",
    )
    return Place(title=title, asked=path, sent=path, options=(name,), back=f"/customers/{customer.id}")


def plan_of(title: str, button: str, effects: Iterable[Effect], warnings: Iterable[str]) -> ChangePlan:
    """The effects by what they are about; those that warn stand behind the warnings."""
    told = tuple(effects)
    parts = [
        PlanPart(
            title=_(heading),
            lines=[PlanLine(text=each.text, rests_on=each.inputs) for each in told if each.kind == kind],
        )
        for kind, heading in PARTS
    ]
    return ChangePlan(
        title=title,
        button=button,
        parts=[part for part in parts if part.lines],
        warnings=[*warnings, *(each.text for each in told if each.kind == "warning")],
        danger=True,
    )


async def do_named(
    view: View,
    place: Place,
    name: str | None,
    deed: Callable[[], Awaitable[ChangePlan]],
    *,
    to: str,
    said: str,
) -> Response[str]:
    """Do it if the name was typed as it stands, spaces aside; asked again beside its field if not.

    None asks for no name.
    """
    await view.read()
    if name is not None and _spaced(view.typed.get("name", [""])[-1]) != _spaced(name):
        wrong = _("Type the name as it stands here: %(name)s.", name=name)
        return drawer(view, place, view.typed, plan=await rehearse(view.scope, deed), errors={"name": wrong})
    return await do_plan(view, place, deed, to=to, said=said)


def _spaced(text: str) -> str:
    return " ".join(text.split())
