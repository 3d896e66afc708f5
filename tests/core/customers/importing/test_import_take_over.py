"""From a file to customers in the database, and back."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from time import monotonic

import pytest
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.clock import FixedClock
from core.customers.actions import add_note, change_status
from core.customers.importing import actions, pace
from core.customers.importing.actions import (
    discard_batch,
    dry_run,
    erase_traces,
    forget_old_imports,
    open_batch,
    stage_import,
    take_over,
    undo_import,
)
from core.customers.importing.profiles import Mapping
from core.customers.importing.queries import get_batch, imported_services, refused_records
from core.customers.importing.report import Report
from core.customers.importing.status import BatchState
from core.customers.queries import get_customer
from core.database import Partitions, dialect, execute, rows, value, values
from core.errors import Conflict, Forbidden, TryAgain, Unavailable
from core.scope import Scope
from tests.books import a_customer

DATA = Path(__file__).parents[3] / "data" / "imports"
Write = Callable[[str], Path]
TABLES = (
    "customer",
    "customer_address",
    "customer_balance",
    "contact",
    "note",
    "tag",
    "customer_tag",
    "location",
    "activity",
    "import_batch",
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        path.write_bytes(text.encode())
        return path

    return to_file


async def bring(scope: Scope, path: Path, *, mode: actions.Mode = "skip-bad", **mapping: object) -> Report:
    staged = await stage_import(scope, path, Mapping(**mapping))  # type: ignore[arg-type]  # of several types
    assert staged.batch is not None
    return await take_over(scope, staged.batch, mode=mode)


async def counts() -> dict[str, int]:
    return {table: int(await value(f"SELECT count(*) FROM {table}")) for table in TABLES}


async def test_a_dry_run_tells_everything_and_writes_nothing(scope: Scope) -> None:
    before = await counts()

    report = await dry_run(scope, DATA / "splynx_customers.csv")

    assert (report.ok, report.refused, report.dry_run, report.imported) == (2, 4, True, 0)
    assert await counts() == before


async def test_what_is_right_becomes_customers_and_what_is_wrong_is_told(scope: Scope) -> None:
    report = await bring(scope, DATA / "splynx_customers.csv")

    assert (report.imported, report.ok, report.errors_total) == (2, 2, 7)
    ids = await values("SELECT id FROM customer ORDER BY id")
    first = await get_customer(scope, ids[0])
    assert (first.full_name, first.login, first.zip, first.city, first.country) == (
        "Ilse Grünwald-Ørum", "ilse.g", "0083", "Pretoria", "AT",
    )  # fmt: skip
    assert first.emails == ["ilse@example.com", "invoices@example.com"]
    assert first.phones == ["+27 82 555 0111"]
    assert (first.joined_on, first.currency, first.status, first.version) == (date(2024, 2, 29), "EUR", "new", 1)


async def test_every_customer_has_its_line_in_the_log_and_its_balance(scope: Scope) -> None:
    await bring(scope, DATA / "whmcs_clients.csv")

    ids = await values("SELECT id FROM customer ORDER BY id")
    told = await values("SELECT customer_id FROM activity WHERE kind = 'customer_created' ORDER BY position")
    assert told == ids
    assert await values("SELECT facts FROM activity WHERE kind = 'customer_created' ORDER BY position") == [
        f'{{"customer_id":{customer_id}}}' for customer_id in ids
    ]
    assert await values("SELECT customer_id FROM customer_balance WHERE is_main ORDER BY customer_id") == ids
    assert await value("SELECT count(*) FROM activity WHERE kind = 'customers_imported'") == 1


async def test_statuses_notes_contacts_tags_and_locations_come_along(scope: Scope, write: Write) -> None:
    path = write(
        "id,name,status,notes,contact,location,tags\n"
        '1,Ada,active,likes tea,Bo Berg,Hill mast,"vip, Fibre"\n'
        "2,Cy,blocked,,,hill MAST,fibre\n3,Di,,,,,\n"
    )

    await bring(scope, path)

    assert await values("SELECT s.key FROM customer c JOIN status s ON s.id = c.status_id ORDER BY c.id") == [
        "active", "blocked", "new",
    ]  # fmt: skip
    assert await values("SELECT DISTINCT status_reason FROM customer") == ["import"]
    assert await values("SELECT text FROM note") == ["likes tea"]
    assert await values("SELECT surname FROM contact") == ["Berg"]
    assert await values("SELECT name FROM location") == ["Hill mast"]
    assert await value("SELECT count(*) FROM customer WHERE location_id IS NOT NULL") == 2
    assert await values("SELECT name_key FROM tag ORDER BY name_key") == ["fibre", "vip"]
    assert await values("SELECT tags_key FROM customer ORDER BY id") == ["fibre vip", "fibre", ""]


async def test_L7_how_a_customer_is_billed_comes_along(scope: Scope, write: Write) -> None:
    path = write(
        "id,name,Billing type,Mindestsaldo,Payment terms,grace,never block,Belege per,tax profile,tax reason,Zeitzone,"
        "vat\n"
        "1,Ada,Prepaid,-12.50,Net 30,5,yes,Post,exempt,Article 7,Europe/Vienna,\n"
        "2,Bo,,,,,,,,,,\n"
        "3,Cy,wiederkehrend,0,14 Tage,0,nein,Kein Versand,Reverse charge,dropped,,ATU13585627\n"
    )

    report = await bring(scope, path)

    assert report.ok == 3, report
    ada, bo, cy = [await get_customer(scope, one) for one in await values("SELECT id FROM customer ORDER BY id")]
    told = [
        (
            *(one.billing_type, one.minimum_balance_minor, one.terms_days, one.grace_days, one.never_block),
            *(one.send_by, one.tax_profile, one.tax_reason, one.time_zone),
        )
        for one in (ada, bo, cy)
    ]
    assert told == [
        ("prepaid", -1250, 30, 5, True, "post", "exempt", "Article 7", "Europe/Vienna"),
        ("recurring", 0, None, None, False, "email", "standard", "", ""),
        ("recurring", 0, 14, 0, False, "none", "reverse_charge", "", ""),
    ]


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("billing type", "weekly", "is none of recurring, prepaid"),
        ("minimum balance", "USD 5", "It is in USD"),
        ("payment terms", "soon", "is no number of days, 0 to 365"),
        ("grace", "366", "is no number of days, 0 to 365"),
        ("never block", "perhaps", "is neither yes nor no"),
        ("documents by", "fax", "is none of email, post, none"),
        ("tax profile", "19 %", "is none of standard"),
        ("tax profile", "reverse charge", "needs the customer's VAT id"),
        ("time zone", "Europe/Nowhere", "There is no time zone"),
        ("joined", "0001-01-01", "The year 1 cannot be meant."),
        ("joined", "2031-01-01", "Give a day from 1 Jan 1900 to"),
    ],
)
async def test_L7_what_a_customer_cannot_be_billed_by_is_told_with_its_column(
    scope: Scope, write: Write, column: str, cell: str, message: str
) -> None:
    report = await bring(scope, write(f"name,{column}\nAda,{cell}\n"))

    assert [(one.field, one.value) for one in report.errors] == [(column, cell if "needs" not in message else "")]
    assert message in report.errors[0].message


async def test_sub_accounts_get_their_parent_wherever_they_stand(scope: Scope, write: Write) -> None:
    await bring(scope, write("id,name,parent\n1,Ada,2\n2,Bo,\n3,Cy,2\n4,Di,5\n5,Ed,4\n"))

    class Link(Struct):
        external_ref: str
        parent: str | None

    links = await rows(
        Link,
        "SELECT c.external_ref, p.external_ref AS parent FROM customer c LEFT JOIN customer p ON p.id = c.parent_id"
        " ORDER BY c.external_ref",
    )
    assert [(link.external_ref, link.parent) for link in links] == [
        ("1", "2"), ("2", None), ("3", "2"), ("4", "5"), ("5", None),
    ]  # fmt: skip


async def test_all_or_nothing_makes_nothing_when_one_record_is_wrong(scope: Scope) -> None:
    before = await counts()

    with pytest.raises(Conflict, match="7 errors in the file, so nothing was imported"):
        await bring(scope, DATA / "splynx_customers.csv", mode="all")

    assert await counts() == {**before, "import_batch": 1}


async def test_all_or_nothing_makes_all_when_every_record_is_right(scope: Scope) -> None:
    report = await bring(scope, DATA / "fossbilling_clients.csv", mode="all")

    assert (report.imported, report.mode) == (2, "all")


async def test_the_same_file_a_second_time_makes_nothing(scope: Scope, tmp_path: Path) -> None:
    first = await bring(scope, DATA / "uisp_clients.csv")
    copy = tmp_path / "other name.csv"
    copy.write_bytes((DATA / "uisp_clients.csv").read_bytes())
    before = await counts()

    again = await bring(scope, copy)

    assert (again.batch, again.already, again.imported) == (first.batch, True, 3)
    assert await counts() == before


async def test_a_corrected_file_brings_only_those_who_are_not_here(scope: Scope, write: Write) -> None:
    await bring(scope, write("login,name\na,Ada\nb,\n"))

    report = await bring(scope, write("login,name\nA,Ada\nb,Bo\n"))

    assert [(found.record, found.field) for found in report.errors] == [(1, "login")]
    assert "has the same login" in report.errors[0].message
    assert await values("SELECT full_name FROM customer ORDER BY id") == ["Ada", "Bo"]


@pytest.mark.parametrize("text", ["id,name\n7,Ada\n", "name,email\nAda,ada@example.com\n"])
async def test_who_is_here_already_is_known_by_number_and_by_e_mail(scope: Scope, write: Write, text: str) -> None:
    await a_customer(scope, "Ada", emails=["ADA@example.com"], external_ref="7")

    report = await dry_run(scope, write(text))

    assert (report.ok, report.errors_total) == (0, 1)


async def test_checking_anew_replaces_what_was_staged(scope: Scope, write: Write) -> None:
    path = write("who,name\nAda,1\nBo,2\n")
    first = await stage_import(scope, path, Mapping())
    second = await stage_import(scope, path, Mapping(columns={"who": "full_name", "name": "external_ref"}))

    assert first.batch == second.batch
    assert second.batch is not None
    await take_over(scope, second.batch)
    assert await values("SELECT full_name FROM customer ORDER BY id") == ["Ada", "Bo"]


async def test_a_staged_file_can_be_discarded_and_a_taken_one_cannot(scope: Scope, write: Write) -> None:
    staged = await stage_import(scope, write("name\nAda\n"))
    done = await bring(scope, write("name\nBo\n"))
    assert staged.batch is not None
    assert done.batch is not None

    await discard_batch(scope, staged.batch)
    with pytest.raises(Conflict):
        await discard_batch(scope, done.batch)

    assert await values("SELECT id FROM import_batch") == [done.batch]
    assert await value("SELECT count(*) FROM import_row") == 1


async def test_a_customer_made_meanwhile_is_not_made_again(scope: Scope, write: Write) -> None:
    staged = await stage_import(scope, write("login,name\na,Ada\nb,Bo\n"))
    await a_customer(scope, "Other", login="A")
    assert staged.batch is not None

    report = await take_over(scope, staged.batch)

    assert (report.imported, report.ok, report.refused) == (1, 1, 1)
    assert [(found.record, found.name) for found in report.errors] == [(1, "Ada")]
    assert await values("SELECT full_name FROM customer ORDER BY full_name") == ["Bo", "Other"]


async def test_all_or_nothing_takes_back_what_it_made_when_somebody_came_between(
    scope: Scope, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "SMALLEST", 1)
    monkeypatch.setattr(actions, "LARGEST", 1)
    path = write("login,name\n" + "".join(f"u{n},N{n}\n" for n in range(12)))
    staged = await stage_import(scope, path)
    assert staged.batch is not None
    await a_customer(scope, "Other", login="u9")

    with pytest.raises(Conflict, match="so nothing was imported"):
        await take_over(scope, staged.batch, mode="all")

    assert await values("SELECT full_name FROM customer") == ["Other"]
    assert (await get_batch(scope, staged.batch)).state is BatchState.CHECKED


class Broken(Exception):
    pass


async def test_an_import_that_was_broken_off_goes_on_where_it_was(
    scope: Scope, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "SMALLEST", 5)
    monkeypatch.setattr(actions, "LARGEST", 5)
    path = write("login,name\n" + "".join(f"u{n},N{n}\n" for n in range(40)))
    staged = await stage_import(scope, path)
    assert staged.batch is not None

    async def stop(done: int, total: int, text: str) -> None:
        if done >= 25:
            raise Broken

    with pytest.raises(Broken):
        await take_over(scope, staged.batch, progress=stop)
    half = int(await value("SELECT count(*) FROM customer"))
    report = await take_over(scope, staged.batch)

    assert 0 < half < 40
    assert report.imported == 40
    assert await value("SELECT count(DISTINCT login_key) FROM customer") == 40
    assert await value("SELECT count(*) FROM activity WHERE kind = 'customer_created'") == 40


async def test_two_who_take_over_the_same_file_make_each_customer_once(
    scope: Scope, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "SMALLEST", 3)
    monkeypatch.setattr(actions, "LARGEST", 3)
    path = write("login,name\n" + "".join(f"u{n},N{n}\n" for n in range(30)))
    staged = await stage_import(scope, path)
    assert staged.batch is not None

    await asyncio.gather(take_over(scope, staged.batch), take_over(scope, staged.batch))

    batch = await get_batch(scope, staged.batch)
    assert (batch.state, batch.made) == (BatchState.DONE, 30)
    assert await value("SELECT count(*) FROM customer") == 30
    assert await value("SELECT count(*) FROM activity WHERE kind = 'customers_imported'") == 1


async def test_ids_go_on_after_an_import(scope: Scope, write: Write) -> None:
    before = await a_customer(scope, "First")
    await bring(scope, write("name\nAda\nBo\n"))
    after = await a_customer(scope, "Last")

    ids = await values("SELECT id FROM customer ORDER BY id")
    assert len(set(ids)) == 4
    assert ids[0] == before
    assert ids[-1] == after


async def test_an_import_can_be_undone_while_nothing_depends_on_it(scope: Scope, write: Write) -> None:
    await a_customer(scope, "Stays")
    done = await bring(scope, write("id,name,notes,parent\n1,Ada,hello,\n2,Bo,,1\n"))
    assert done.batch is not None

    kept = await undo_import(scope, done.batch)

    assert kept == 0
    assert await values("SELECT full_name FROM customer") == ["Stays"]
    for table in ("note", "import_customer"):
        assert await value(f"SELECT count(*) FROM {table}") == 0
    assert await value("SELECT count(*) FROM customer_balance") == 1
    again = await bring(scope, write("id,name,notes,parent\n1,Ada,hello,\n2,Bo,,1\n"))
    assert (again.imported, again.already) == (2, False)
    assert again.batch != done.batch


async def test_an_import_cannot_be_undone_once_a_customer_was_changed(scope: Scope, write: Write) -> None:
    done = await bring(scope, write("name\nAda\nBo\n"))
    assert done.batch is not None
    changed = await value("SELECT id FROM customer WHERE full_name = 'Bo'")
    await change_status(scope, changed, "active")

    with pytest.raises(Conflict, match=f"changed since \\({changed}\\)"):
        await undo_import(scope, done.batch)

    assert await value("SELECT count(*) FROM customer") == 2


async def test_customers_with_documents_stay_when_an_import_is_undone(scope: Scope, write: Write) -> None:
    done = await bring(scope, write("name\nAda\nBo\nCy\n"))
    assert done.batch is not None
    payer = await value("SELECT id FROM customer WHERE full_name = 'Bo'")
    async with unit_of_work(scope):
        await execute(
            "INSERT INTO posting (transaction_id, line, account_id, customer_id, booked_on, currency, amount_minor,"
            " base_minor) SELECT 1, n.line, (SELECT id FROM account WHERE code = '1100'), :payer, '2027-05-01', 'EUR',"
            " n.amount, n.amount FROM (SELECT 1 AS line, 100 AS amount UNION ALL SELECT 2, -100) AS n",
            payer=payer,
        )
        await execute(
            "INSERT INTO ledger_transaction (id, book_id, kind, source_kind, source_id, booked_on)"
            " VALUES (1, 1, 'test', 'test', 1, '2027-05-01')"
        )

    kept = await undo_import(scope, done.batch)

    assert kept == 1
    assert await values("SELECT full_name FROM customer") == ["Bo"]


async def test_an_import_cannot_be_undone_once_somebody_wrote_a_note(scope: Scope, write: Write) -> None:
    done = await bring(scope, write("name,notes\nAda,old note\n"))
    assert done.batch is not None
    await add_note(scope, await value("SELECT id FROM customer"), "called twice")

    with pytest.raises(Conflict, match="changed since"):
        await undo_import(scope, done.batch)


async def test_after_a_month_nobody_is_named_by_an_import_any_more(
    scope: Scope, write: Write, clock: FixedClock
) -> None:
    done = await bring(scope, write("name,email\nAda,a@example.com\nBo,wrong\n"))
    clock.move(timedelta(days=29))
    assert await forget_old_imports(scope) == []
    assert await value("SELECT count(*) FROM import_row") == 2

    clock.move(timedelta(days=2))
    await forget_old_imports(scope)

    assert done.batch is not None
    assert await value("SELECT count(*) FROM import_row") == 0
    assert (await get_batch(scope, done.batch)).report == ""
    assert await value("SELECT count(*) FROM customer") == 1


async def test_a_file_that_nobody_imports_is_forgotten_after_a_week(
    scope: Scope, write: Write, clock: FixedClock
) -> None:
    path = write("name\nAda\n")
    await open_batch(scope, path, Mapping(), file_path="stored")
    await stage_import(scope, path)
    clock.move(timedelta(days=8))

    assert await forget_old_imports(scope) == ["stored"]

    assert await value("SELECT count(*) FROM import_batch") == 0
    assert await value("SELECT count(*) FROM import_row") == 0


async def test_what_imports_hold_of_a_customer_can_be_erased(scope: Scope, write: Write) -> None:
    await bring(scope, write("login,name,email,phone\na,Ada Lovelace,ada@example.com,call\nb,Bo,b@example.com,\n"))

    await erase_traces(scope, await value("SELECT id FROM customer WHERE login = 'a'"))

    for table in ("import_row", "import_batch"):
        for row in await held(table):
            assert "Ada" not in row
            assert "ada@example.com" not in row
    assert await value("SELECT count(*) FROM import_row") == 1


async def held(table: str) -> list[str]:
    columns = {
        "import_row": "name || full_name || email_key || addresses || warnings || errors || cells",
        "import_batch": "report",
    }
    return await values(f"SELECT {columns[table]} FROM {table}")


async def test_refused_records_come_back_as_they_stood_with_their_reasons_and_without_secrets(
    scope: Scope, write: Write
) -> None:
    staged = await stage_import(scope, write("name,email,password\nAda,nobody@nowhere,hunter2\nBo,b@example.com,x\n"))
    assert staged.batch is not None

    refused = [each async for each in refused_records(scope, staged.batch)]

    assert [(each.record, each.line, each.texts()) for each in refused] == [(1, 2, ["Ada", "nobody@nowhere", ""])]
    assert [found.field for found in refused[0].findings()] == ["email"]
    for table, column in (("import_row", "cells"), ("import_row", "errors"), ("import_batch", "report")):
        assert await value(f"SELECT count(*) FROM {table} WHERE {column} LIKE '%hunter2%'") == 0


async def test_services_wait_with_the_customer_they_belong_to(scope: Scope) -> None:
    done = await bring(scope, DATA / "uisp_clients.csv")
    assert done.batch is not None

    waiting = [each async for each in imported_services(scope, done.batch)]

    first = await value("SELECT id FROM customer WHERE external_ref = 'uisp:2001'")
    assert [(each.record, each.customer_id, each.each()[0].plan) for each in waiting] == [
        (2, first, "03. SILVER 999"),
        (3, first, "04. NIGHT PLAN"),
    ]


async def test_services_of_nobody_are_told_and_those_of_customers_here_are_not(scope: Scope) -> None:
    await a_customer(scope, "Ilse", login="ilse.g")

    report = await dry_run(scope, DATA / "splynx_services.csv")

    assert report.ok == 2
    assert not [found for found in report.warnings if found.field == "name" and found.record <= 2]


async def test_only_staff_who_see_all_customers_import(scope: Scope, write: Write) -> None:
    some = replace(scope, actor=replace(scope.actor, reach=Partitions((1,))))

    with pytest.raises(Forbidden):
        await dry_run(some, write("name\nAda\n"))
    with pytest.raises(Forbidden):
        await stage_import(some, write("name\nAda\n"))


async def test_formulas_and_markup_are_stored_as_text(scope: Scope) -> None:
    await bring(scope, DATA / "formulas_and_markup.csv")

    assert await values("SELECT full_name FROM customer ORDER BY id") == [
        '=HYPERLINK("https://evil.example","press")', "@SUM(2)", "<img src=x onerror=alert(2)>", "\u202eecila",
    ]  # fmt: skip


async def test_thousands_of_records_are_validated_in_processes_and_taken_over_in_chunks(
    scope: Scope, write: Write
) -> None:
    lines = (f"u{n},Name {n},n{n}@example.com,0{n % 9 + 1}5/5550{n:04},Wien" for n in range(3_000))
    path = write("login,name,email,phone,city\n" + "\n".join(lines) + "\n")
    steps: list[int] = []
    longest, last = 0.0, monotonic()

    async def progress(done: int, total: int, text: str) -> None:
        nonlocal longest, last
        steps.append(done)
        longest, last = max(longest, monotonic() - last), monotonic()

    staged = await stage_import(scope, path)
    assert staged.batch is not None
    report = await take_over(scope, staged.batch, progress=progress)

    assert (staged.ok, report.imported) == (3_000, 3_000)
    assert steps == sorted(steps)
    assert len(steps) > 2
    assert steps[-1] == 3_000
    assert await value("SELECT count(*) FROM customer_address") == 6_000
    assert await value("SELECT min(position) FROM activity") == 1
    assert await value("SELECT max(position) FROM activity") == 3_001


async def test_the_words_of_an_import_are_sorted_into_the_search_beside_it(scope: Scope, write: Write) -> None:
    if dialect() == "sqlite":
        pytest.skip("FTS5 sorts in what is written")
    await bring(scope, write("login,name\n1,Anna\n"))
    pages = "SELECT customer_search_sort_in('customer_search_words')"
    async with unit_of_work(scope):
        await execute("UPDATE customer SET company = 'Other' WHERE login_key = '1'")
    assert await value(pages) > 0
    assert await value(pages) == 0

    await bring(scope, write("login,name\n2,Bert\n3,Carla\n"))

    assert await value(pages) == 0
    assert await values("SELECT customer_id FROM customer_search WHERE text LIKE '% carla %'")


@pytest.mark.parametrize("error", [Unavailable("The server is away."), TryAgain("Others were first.")])
async def test_words_that_cannot_be_sorted_in_meanwhile_do_not_hold_up_the_import(
    scope: Scope, write: Write, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def broken(sql: str, **given: object) -> None:
        raise error

    monkeypatch.setattr(pace, "value", broken)

    report = await bring(scope, write("login,name\n1,Anna\n"))

    assert report.imported == 1
