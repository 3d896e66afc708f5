"""An import in the browser, by jobs, and by command."""

import re
from io import StringIO
from pathlib import Path

import httpx
import msgspec
import pytest
import xlsxwriter
from rich.console import Console

from core.activity.unit import unit_of_work
from core.customers import jobs
from core.customers.cli import import_customers_command, read_mapping, show
from core.customers.importing.files import folder_of
from core.customers.importing.report import Report
from core.database import execute, value, values
from core.errors import Conflict, Invalid
from core.jobs import claims
from core.jobs.attempts import attempt
from core.testing import TestTenant

DATA = Path(__file__).parents[3] / "data" / "imports"
KINDS = {kind.name: kind for kind in jobs.JOBS}


async def work(tenant: TestTenant) -> None:
    """What the worker would do: every job that is due."""
    scope = tenant.scope()
    for due in await claims.due_jobs(list(KINDS), scope.now()):
        claim = await claims.claim(KINDS[due.kind], due.id, scope.now())
        assert claim is not None
        await attempt(scope, KINDS[due.kind], claim)


async def upload(page: httpx.AsyncClient, name: str, content: bytes) -> httpx.Response:
    return await page.post("/customers/import", files={"file": (name, content, "application/octet-stream")})


def field_of(page: str, column: str) -> str:
    """The name of the control for a column, and the field that is chosen in it."""
    control = re.search(rf'name="(c\d+)"[^>]*aria-label="Field for column {re.escape(column)}"', page)
    assert control is not None
    return control[1]


async def test_a_file_is_chosen_checked_looked_at_and_imported(tenant: TestTenant) -> None:
    page = await tenant.browser()

    sent = await upload(page, "old system.csv", (DATA / "splynx_customers.csv").read_bytes())
    assert sent.status_code == 303, sent.text
    address = sent.headers["location"]
    waiting = await page.get(address)
    assert "Checking a file of customers" in waiting.text
    await work(tenant)
    checked = await page.get(address)
    assert "7 errors, 4 records refused" in checked.text
    assert "thabo@example" in checked.text
    assert await value("SELECT count(*) FROM customer") == 0
    started = await page.post(f"{address}/start", data={"mode": "skip-bad"})
    assert started.status_code == 303, started.text
    await work(tenant)

    done = await page.get(address)
    assert "Undo this import" in done.text
    assert await values("SELECT login FROM customer ORDER BY id") == ["ilse.g", "harbour"]
    assert list(folder_of(tenant.scope()).iterdir()) == []


async def test_the_page_asks_for_itself_until_the_work_is_done(tenant: TestTenant) -> None:
    page = await tenant.browser()
    address = (await upload(page, "a.csv", b"name\nAda\n")).headers["location"]

    before = await page.get(f"{address}/state", headers={"hx-request-type": "partial"})
    await work(tenant)
    after = await page.get(f"{address}/state", headers={"hx-request-type": "partial"})

    assert "hx-redirect" not in before.headers
    assert after.headers["hx-redirect"] == address


async def test_columns_that_are_not_known_are_matched_by_hand(tenant: TestTenant) -> None:
    page = await tenant.browser()
    address = (await upload(page, "odd.csv", b"foo;bar;password\nAda;Bonn;hunter2\nBo;Kiel;hunter2\n")).headers[
        "location"
    ]
    await work(tenant)
    asked = await page.get(address)
    assert "No column says the name of the customer" in asked.text
    assert "hunter2" not in asked.text

    refused = await page.post(
        f"{address}/columns", data={field_of(asked.text, "foo"): "", field_of(asked.text, "bar"): "city"}
    )
    matched = await page.post(
        f"{address}/columns", data={field_of(asked.text, "foo"): "full_name", field_of(asked.text, "bar"): "city"}
    )
    await work(tenant)
    await page.post(f"{address}/start", data={"mode": "all"})
    await work(tenant)

    assert refused.status_code == 422
    assert matched.status_code == 303, matched.text
    assert await values("SELECT full_name || ' ' || city FROM customer ORDER BY id") == ["Ada Bonn", "Bo Kiel"]


async def test_L7_columns_matched_by_hand_are_so_in_the_next_file_with_the_same_ones(
    tenant: TestTenant,
) -> None:
    page = await tenant.browser()
    first = (await upload(page, "may.csv", b"foo;bar;password\nAda;Bonn;hunter2\n")).headers["location"]
    await work(tenant)
    asked = await page.get(first)
    await page.post(
        f"{first}/columns", data={field_of(asked.text, "foo"): "full_name", field_of(asked.text, "bar"): "city"}
    )

    same = (await upload(page, "june.csv", b"password;bar;foo\nhunter2;Kiel;Bo\n")).headers["location"]
    other = (await upload(page, "july.csv", b"foo;bar;baz\nCy;Ulm;x\n")).headers["location"]
    await work(tenant)
    found, unknown = await page.get(same), await page.get(other)

    assert "matched as in may.csv" in found.text
    assert "Import 1 customer<" in found.text
    assert "matched as in" not in unknown.text
    assert "No column says the name of the customer" in unknown.text


async def test_a_workbook_is_imported_like_a_csv(tenant: TestTenant, tmp_path: Path) -> None:
    path = tmp_path / "kunden.xlsx"
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet("Kunden")
    for number, row in enumerate([["Kundennr.", "Name", "PLZ"], [4011, "Zoë Groß", 1067]]):
        sheet.write_row(number, 0, row)
    book.close()
    page = await tenant.browser()

    address = (await upload(page, "kunden.xlsx", path.read_bytes())).headers["location"]
    await work(tenant)
    await page.post(f"{address}/start", data={"mode": "all"})
    await work(tenant)

    assert await values("SELECT full_name FROM customer WHERE external_ref = '4011'") == ["Zoë Groß"]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "empty"), (b"%PDF-1.4", "PDF"), (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel"), (b"PK\x03\x04x", "damaged")],
)
async def test_what_is_no_table_is_refused_at_once_and_not_kept(tenant: TestTenant, content: bytes, told: str) -> None:
    page = await tenant.browser()

    refused = await upload(page, "x.csv", content)

    assert refused.status_code == 422
    assert told in refused.text
    assert list(folder_of(tenant.scope()).iterdir()) == []
    assert await value("SELECT count(*) FROM import_batch") == 0


async def test_all_or_nothing_is_refused_while_there_are_errors(tenant: TestTenant) -> None:
    page = await tenant.browser()
    address = (await upload(page, "a.csv", b"name,email\nAda,a@example.com\nBo,wrong\n")).headers["location"]
    await work(tenant)

    refused = await page.post(f"{address}/start", data={"mode": "all"})

    assert refused.status_code == 422
    assert "all or nothing means nothing" in refused.text
    assert await value("SELECT count(*) FROM job WHERE state = 'waiting'") == 0


async def test_refused_records_come_back_as_a_file_that_can_be_corrected_and_brought_again(tenant: TestTenant) -> None:
    page = await tenant.browser()
    address = (
        await upload(page, "a.csv", b"name,email,phone\nAda,a@example.com,\nBo,wrong,+49 351 5550199\n")
    ).headers["location"]
    await work(tenant)
    await page.post(f"{address}/start", data={"mode": "skip-bad"})
    await work(tenant)

    file = await page.get(f"{address}/refused.csv")
    corrected = file.text.replace("wrong,", "b@example.com,", 1)
    second = (await upload(page, "again.csv", corrected.encode())).headers["location"]
    await work(tenant)
    await page.post(f"{second}/start", data={"mode": "all"})
    await work(tenant)

    assert file.headers["content-disposition"] == 'attachment; filename="refused-a.csv"'
    assert "'+49 351 5550199" in file.text
    assert await values("SELECT full_name FROM customer ORDER BY id") == ["Ada", "Bo"]
    assert await values("SELECT phone_e164 FROM customer ORDER BY id") == ["", "+493515550199"]


async def test_an_import_is_undone_by_a_button(tenant: TestTenant) -> None:
    page = await tenant.browser()
    address = (await upload(page, "a.csv", b"name\nAda\nBo\n")).headers["location"]
    await work(tenant)
    await page.post(f"{address}/start", data={"mode": "all"})
    await work(tenant)

    undone = await page.post(f"{address}/undo")
    await work(tenant)

    assert undone.status_code == 303, undone.text
    assert await value("SELECT count(*) FROM customer") == 0
    shown = (await page.get(address)).text
    assert "This import was undone" in shown
    assert "Will be created" not in shown


async def test_a_checked_file_is_discarded(tenant: TestTenant) -> None:
    page = await tenant.browser()
    address = (await upload(page, "a.csv", b"name\nAda\n")).headers["location"]
    await work(tenant)

    gone = await page.post(f"{address}/discard")

    assert gone.status_code == 303
    assert (await page.get(address)).status_code == 404
    assert await value("SELECT count(*) FROM import_row") == 0
    assert list(folder_of(tenant.scope()).iterdir()) == []


async def test_while_work_goes_on_no_other_begins(tenant: TestTenant) -> None:
    page = await tenant.browser()
    address = (await upload(page, "a.csv", b"name\nAda\n")).headers["location"]

    again = await page.post(f"{address}/columns", data={"c0": "full_name"})

    assert again.status_code == 409
    assert await value("SELECT count(*) FROM job") == 1


async def test_importing_needs_its_permission(tenant: TestTenant) -> None:
    page = await tenant.browser(staff_id=await tenant.staff_with({"customers.view"}))

    for path in ("/customers/import", "/customers/import/1", "/customers/import/1/refused.csv"):
        assert (await page.get(path)).status_code == 403
    assert (await upload(page, "a.csv", b"name\nAda\n")).status_code == 403


# By command


async def test_the_command_prints_the_report_as_json(tenant: TestTenant, capsys: pytest.CaptureFixture[str]) -> None:
    report = await import_customers_command(tenant.scope(), DATA / "whmcs_clients.csv", as_json=True)

    told = msgspec.json.decode(capsys.readouterr().out, type=Report)
    assert told == report
    assert (told.file, told.format, told.records, told.ok, told.imported) == (
        "whmcs_clients.csv",
        "whmcs_clients",
        3,
        2,
        2,
    )
    assert [(found.record, found.field) for found in told.errors] == [(3, "email")]
    assert [(found.record, found.field) for found in told.warnings] == [(2, "datecreated")]
    assert await value("SELECT count(*) FROM customer") == 2


async def test_a_dry_run_by_command_writes_nothing(tenant: TestTenant, capsys: pytest.CaptureFixture[str]) -> None:
    report = await import_customers_command(tenant.scope(), DATA / "whmcs_clients.csv", dry_run=True)

    assert (report.dry_run, report.imported, report.ok) == (True, 0, 2)
    assert "Nothing was written" in capsys.readouterr().out
    assert await value("SELECT count(*) FROM customer") == 0
    assert await value("SELECT count(*) FROM import_batch") == 0


async def test_all_or_nothing_by_command_leaves_the_file_staged(tenant: TestTenant) -> None:
    with pytest.raises(Conflict, match="nothing was imported"):
        await import_customers_command(tenant.scope(), DATA / "whmcs_clients.csv", mode="all", as_json=True)

    assert await value("SELECT count(*) FROM customer") == 0


async def test_a_mapping_comes_as_json(tenant: TestTenant, tmp_path: Path) -> None:
    file, mapping = tmp_path / "a.csv", tmp_path / "mapping.json"
    file.write_text("Who;Memo\nAda;called twice\n")
    mapping.write_text('{"columns": {"Who": "full_name", "Memo": null}, "status": "active"}')

    await import_customers_command(tenant.scope(), file, mapping=mapping, as_json=True)

    assert await value("SELECT count(*) FROM note") == 0
    assert await values("SELECT s.key FROM customer c JOIN status s ON s.id = c.status_id") == ["active"]


@pytest.mark.parametrize("text", ["not json", '{"colums": {}}', '{"dates": "american"}'])
def test_a_mapping_that_cannot_be_meant_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(text)

    with pytest.raises(Invalid, match="is no mapping") as refused:
        read_mapping(path)

    assert refused.value.errors[0].field == "--mapping"


async def test_people_are_shown_errors_with_record_line_and_column(tenant: TestTenant) -> None:
    report = await import_customers_command(tenant.scope(), DATA / "mixed_line_ends.csv", dry_run=True, as_json=True)
    out = StringIO()

    show(report, Console(file=out, width=160))

    told = out.getvalue()
    assert "3 errors" in told
    assert "It has 3 fields, the header has 2." in told
    assert "7 records, 3 right, 3 refused" in told


async def test_what_is_wrong_is_told_in_the_language_of_whoever_brought_the_file(tenant: TestTenant) -> None:
    page = await tenant.browser()
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE staff SET language = 'de'")

    sent = await upload(page, "alt.csv", "Name;E-Mail\nAnna Weiß;anna\n".encode())
    await work(tenant)

    checked = await page.get(sent.headers["location"])
    assert "„anna“ ist keine E-Mail-Adresse. Eine E-Mail-Adresse hat ein @." in checked.text
