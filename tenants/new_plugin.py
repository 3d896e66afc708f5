"""Beginning a new plugin: a package that installs, runs and has a test that passes."""

from __future__ import annotations

import shutil
from pathlib import Path
from string import Template
from typing import Final

from core.errors import Conflict, Invalid
from core.hooks.manifest import HOOK_VERSION, NAME
from tenants.archives import room_on

FILES: Final = {
    "pyproject.toml": """[project]
name = "tenantry-$name"
version = "0.1.0"
description = "$label for Tenantry"
requires-python = ">=3.11"
dependencies = ["tenantry"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points."tenantry.plugins"]
$name = "tenantry_$name.plugin"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["tenantry_$name"]

[tool.pytest.ini_options]
anyio_mode = "auto"
""",
    "tenantry_$name/__init__.py": '"""$label."""\n',
    "tenantry_$name/plugin.py": '''"""$label: what it is, and what it does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.hooks import Effect, Erasure, Manifest, MenuItem, Permission, Tab, hookimpl
from core.texts import N_, ngettext
from tenantry_$name import actions, queries, routes
from tenantry_$name.tables import ${Class}Remark

if TYPE_CHECKING:
    from core.scope import Scope

MANIFEST = Manifest(
    name="$name",
    label="$label",
    version="0.1.0",
    hook_version="$hook_version",
    description=N_("Remarks on customers."),
    routes=routes.HANDLERS,
    permissions=(Permission("$name.view", N_("See remarks")), Permission("$name.edit", N_("Write remarks"))),
    tables=(${Class}Remark,),
    migrations=Path(__file__).parent / "migrations",
    menu=(MenuItem(area="work", label="$label", href="/$name/remarks", permission="$name.view", icon="message-2"),),
)


@hookimpl
async def customer_tabs(scope: Scope, customer_id: int) -> Sequence[Tab]:
    if not scope.may("$name.view"):
        return ()
    count = await queries.count_remarks(scope, customer_id)
    return (Tab(key="$name", label="$label", href=f"/$name/customers/{customer_id}", count=count or None),)


@hookimpl
async def plan_customer_erasure(customer_ids: Sequence[int]) -> Erasure:
    """What was remarked on customers who are anonymised or deleted names them: it goes."""
    count = await queries.count_of(customer_ids)
    if not count:
        return Erasure()
    text = ngettext("%(num)s remark", "%(num)s remarks", count)
    return Erasure(effects=(Effect(kind="data", text=text, apply=partial(actions.erase_remarks, customer_ids)),))
''',
    "tenantry_$name/tables.py": '''"""Rows of the plugin. Every table says how it belongs to a customer."""

from core.customers.tables import Customer
from core.database import via
from piccolo.columns import ForeignKey, Serial, Text, Timestamptz
from piccolo.table import Table


class ${Class}Remark(Table, tablename="${name}_remark"):
    """What somebody remarked on a customer."""

    belongs = via("customer_id")

    id: Serial
    customer_id = ForeignKey(Customer, index=True)
    text = Text()
    author = Text()
    made_at = Timestamptz()
''',
    "tenantry_$name/migrations/2026_01_01_0001_remarks.py": '''"""Remarks."""

from core.database.migrations import run_sql

ID = "2026-01-01T00:01:00"
VERSION = "1"
DESCRIPTION = "remarks"


async def forwards() -> None:
    await run_sql("""
        CREATE TABLE ${name}_remark (
            id {id},
            customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
            text text NOT NULL CHECK (text <> ''),
            author text NOT NULL,
            made_at timestamptz NOT NULL
        );
        CREATE INDEX ${name}_remark_customer ON ${name}_remark (customer_id, id);
    """)
''',
    "tenantry_$name/events.py": '''"""What happened."""

from core.activity.events import Event


class ${Class}RemarkMade(Event, subject="${name}_remark"):
    ${name}_remark_id: int
    customer_id: int
''',
    "tenantry_$name/schemas.py": '''"""What pages take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct


class NewRemark(Struct, frozen=True, forbid_unknown_fields=True):
    text: Annotated[str, Meta(min_length=1, max_length=2000)]


class RemarkRow(Struct, frozen=True):
    id: int
    customer_id: int
    customer: str
    text: str
    author: str
    made_at: datetime
''',
    "tenantry_$name/queries.py": '''"""Reads, through the actor's reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.database import rows, value, within
from tenantry_$name.schemas import RemarkRow
from tenantry_$name.tables import ${Class}Remark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope

REMARKS = """
SELECT ${name}_remark.id, ${name}_remark.customer_id, customer.full_name AS customer, ${name}_remark.text,
       ${name}_remark.author, ${name}_remark.made_at
FROM ${name}_remark JOIN customer ON customer.id = ${name}_remark.customer_id
WHERE :within
"""


async def list_remarks(scope: Scope, customer_id: int | None = None) -> list[RemarkRow]:
    """The latest first, of one customer or of all."""
    only = " AND ${name}_remark.customer_id = :customer_id" if customer_id is not None else ""
    return await rows(
        RemarkRow,
        f"{REMARKS}{only} ORDER BY ${name}_remark.id DESC LIMIT 50",
        within=within(${Class}Remark, scope.actor.reach),
        **({"customer_id": customer_id} if customer_id is not None else {}),
    )


async def count_remarks(scope: Scope, customer_id: int) -> int:
    return int(
        await value(
            "SELECT count(*) FROM ${name}_remark WHERE customer_id = :id AND :within",
            id=customer_id,
            within=within(${Class}Remark, scope.actor.reach),
        )
    )


async def count_of(customer_ids: Sequence[int]) -> int:
    """How many there are of these customers, whom the caller has looked up in its reach."""
    return int(await value("SELECT count(*) FROM ${name}_remark WHERE customer_id IN :ids", ids=customer_ids))
''',
    "tenantry_$name/actions.py": '''"""What changes things."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.customers.queries import get_customer
from core.database import execute
from tenantry_$name.events import ${Class}RemarkMade
from tenantry_$name.tables import ${Class}Remark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


async def make_remark(scope: Scope, customer_id: int, text: str) -> int:
    """Write a remark down; gives its id. Raises NotFound for a customer out of reach."""
    async with unit_of_work(scope):
        await get_customer(scope, customer_id)
        remark = ${Class}Remark(customer_id=customer_id, text=text, author=scope.actor.name, made_at=scope.now())
        await remark.save()
        record(scope, ${Class}RemarkMade(${name}_remark_id=int(remark.id), customer_id=customer_id))
        return int(remark.id)


async def erase_remarks(customer_ids: Sequence[int], scope: Scope) -> None:
    """Part of anonymising and deleting customers."""
    async with unit_of_work(scope):
        await execute("DELETE FROM ${name}_remark WHERE customer_id IN :ids", ids=customer_ids)
''',
    "tenantry_$name/routes.py": '''"""Pages."""

from __future__ import annotations

from core.customers.head import head_values
from core.errors import Invalid
from core.texts import _
from core.web.routing import get, post
from core.web.view import PageView, View, errors_by_field
from litestar import Response
from litestar.params import FromPath
from tenantry_$name import actions, queries
from tenantry_$name.schemas import NewRemark


@get("/$name/remarks", permission="$name.view")
async def list_remarks(view: View) -> Response[str]:
    return view.page("$name/remarks.html", remarks=await queries.list_remarks(view.scope))


@get("/$name/customers/{customer_id:int}", permission="$name.view")
async def show_customer(view: View, customer_id: FromPath[int]) -> Response[str]:
    return await _customer_page(view, customer_id, {})


@post("/$name/customers/{customer_id:int}", permission="$name.edit")
async def make_remark(view: View, customer_id: FromPath[int]) -> Response[str]:
    try:
        data = await view.form(NewRemark)
    except Invalid as error:
        return await _customer_page(view, customer_id, errors_by_field(error), status=422)
    await actions.make_remark(view.scope, customer_id, data.text)
    return view.go(f"/$name/customers/{customer_id}", _("Remark kept."))


async def _customer_page(
    view: PageView, customer_id: int, errors: dict[str, str], *, status: int = 200
) -> Response[str]:
    head = await head_values(view, customer_id, "$label")
    return view.page(
        "$name/customer.html",
        status=status,
        **head,
        remarks=await queries.list_remarks(view.scope, customer_id),
        values=view.shown(text=""),
        errors=errors,
    )


HANDLERS = (list_remarks, show_customer, make_remark)
''',
    "tenantry_$name/templates/remarks.html": """{% extends "base.html" %}
{% block title %}$label{% endblock %}
{% block main %}
{% call m.head("$label", "") %}{% endcall %}
<section class="t-card" aria-label="$label">
{% for r in remarks %}
<div class="t-note">
<div class="t-note-text">{{ r.text }}</div>
<div class="t-by"><a href="/$name/customers/{{ r.customer_id }}">{{ r.customer }}</a> · {{ r.author }},
{{ r.made_at|datetime }}</div>
</div>
{% else %}
{{ m.empty(_("Nothing here yet"), _("Open a customer and write the first one.")) }}
{% endfor %}
</section>
{% endblock %}
""",
    "tenantry_$name/templates/customer.html": """{% extends "base.html" %}
{% block title %}$label, {{ customer.full_name }}{% endblock %}
{% block main %}
{% include "customers/_head.html" %}
<div class="t-narrow t-stack">
{% if may("$name.edit") %}
<form class="t-card" method="post" novalidate aria-label="{{ _('New remark') }}">
<div class="t-body t-stack">
{{ m.csrf() }}
{{ m.form_errors(errors, {"text": _("Remark")}) }}
{{ m.field("text", _("Remark"), values["text"], kind="textarea", error=errors.get("text", ""), required=true) }}
<div class="t-row">{{ m.submit(_("Keep remark")) }}</div>
</div>
</form>
{% endif %}
<section class="t-card" aria-label="{{ _('Remarks') }}">
{% for r in remarks %}
<div class="t-note">
<div class="t-note-text">{{ r.text }}</div>
<div class="t-by">{{ r.author }}, {{ r.made_at|datetime }}</div>
</div>
{% else %}
<p class="t-note t-2">{{ _("Nothing yet.") }}</p>
{% endfor %}
</section>
</div>
{% endblock %}
""",
    "tenantry_$name/locale/de.po": r"""msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\n"
"Language: de\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

msgid "Remarks on customers."
msgstr "Bemerkungen zu Kunden."

msgid "See remarks"
msgstr "Bemerkungen sehen"

msgid "Write remarks"
msgstr "Bemerkungen schreiben"

msgid "%(num)s remark"
msgid_plural "%(num)s remarks"
msgstr[0] "%(num)s Bemerkung"
msgstr[1] "%(num)s Bemerkungen"

msgid "Remark kept."
msgstr "Die Bemerkung ist gespeichert."

msgid "New remark"
msgstr "Neue Bemerkung"

msgid "Remark"
msgstr "Bemerkung"

msgid "Keep remark"
msgstr "Bemerkung speichern"

msgid "Remarks"
msgstr "Bemerkungen"

msgid "Nothing yet."
msgstr "Noch nichts."

msgid "Nothing here yet"
msgstr "Noch nichts hier"

msgid "Open a customer and write the first one."
msgstr "Öffnen Sie einen Kunden und schreiben Sie die erste."
""",
    "tests/test_$name.py": '''"""The plugin in a tenant of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from core.customers.actions import anonymise_customers, change_status, create_customer
from core.customers.schemas import NewCustomer
from core.testing import open_tenant
from tenantry_$name.actions import make_remark
from tenantry_$name.queries import count_of


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_remark_stands_on_the_customers_tab(tmp_path: Path) -> None:
    async with open_tenant(tmp_path, plugins=["$name"]) as tenant:
        customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Ann Other"))
        page = await tenant.browser()

        kept = await page.post(f"/$name/customers/{customer_id}", data={"text": "Rang twice."})

        shown = await page.get(f"/$name/customers/{customer_id}")
        assert (kept.status_code, shown.status_code) == (303, 200)
        assert "Rang twice." in shown.text
        german = await page.get(f"/$name/customers/{customer_id}", headers={"accept-language": "de"})
        assert "Bemerkung speichern" in german.text


async def test_an_empty_remark_is_refused(tmp_path: Path) -> None:
    async with open_tenant(tmp_path, plugins=["$name"]) as tenant:
        customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Ann Other"))
        page = await tenant.browser()

        refused = await page.post(f"/$name/customers/{customer_id}", data={"text": ""})

        assert refused.status_code == 422


async def test_remarks_on_a_customer_who_is_anonymised_are_erased(tmp_path: Path) -> None:
    async with open_tenant(tmp_path, plugins=["$name"]) as tenant:
        scope = tenant.scope()
        ids = [await create_customer(scope, NewCustomer(full_name=name)) for name in ("Ann Other", "Bob Other")]
        for customer_id in ids:
            await make_remark(scope, customer_id, "Rang twice.")
        await change_status(scope, ids[0], "inactive")

        await anonymise_customers(scope, ids[:1])

        assert [await count_of([customer_id]) for customer_id in ids] == [0, 1]
''',
    "README.md": """# tenantry-$name

$label for Tenantry.

By the Python of the environment that the product is installed in (a checkout's is `.venv/bin/python`):

    python -m pip install -e '.[test]'    # what is changed here counts at the next start
    tenantry plugin check $name
    tenantry plugin enable $name --tenant T
    python -m pytest                      # its tests
""",
}
"""Path and text of each file; `$$name` and the like are filled in."""


def write_plugin(name: str, folder: Path) -> Path:
    """Write a new plugin into `folder`/tenantry-NAME; gives that folder. Never over something that is there."""
    if not NAME.fullmatch(name):
        raise Invalid("Use 2 to 30 small letters and digits, beginning with a letter.", field="NAME")
    target = folder / f"tenantry-{name}"
    if target.exists():
        raise Conflict(f"{target} is there already. Choose another name or folder.")
    words = {"name": name, "Class": name.capitalize(), "label": name.capitalize(), "hook_version": HOOK_VERSION}
    part = folder / f".{target.name}.part"
    with room_on(folder):
        try:
            for path, text in FILES.items():
                file = part / Template(path).substitute(words)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(Template(text).substitute(words), encoding="utf-8")
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return target
