"""The child process in which a workbook is unpacked, under limits of memory and time.

Run as a script by `core.lists.reading`, never imported. A workbook of a few kilobytes can unfold to terabytes (two
cells far apart, one long string used a million times), and no check of its directory finds every way; here the worst is
that this process ends.

Speaks JSON lines: first the head of each sheet, then, told a sheet's name on stdin, its rows as [row number, cells].
"""

import json
import resource
import sys
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any

from python_calamine import CalamineWorkbook

HEAD_ROWS = 30


def main(path: str, memory: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    book = CalamineWorkbook.from_path(path)
    say = sys.stdout.write
    heads = {name: _rows(book.get_sheet_by_name(name), HEAD_ROWS) for name in book.sheet_names[:50]}
    say(json.dumps(heads) + "\n")
    sys.stdout.flush()
    chosen = json.loads(sys.stdin.readline() or "null")
    if chosen is None:
        return
    sheet = book.get_sheet_by_name(chosen)
    for number, cells in enumerate(sheet.iter_rows(), 1):
        say(json.dumps([number, [_text(cell) for cell in cells]], ensure_ascii=False) + "\n")


def _rows(sheet: Any, limit: int) -> list[list[Any]]:
    return [
        [number, [_text(cell) for cell in cells]] for number, cells in enumerate(islice(sheet.iter_rows(), limit), 1)
    ]


def _text(cell: Any) -> str:
    """A cell as it would have been typed. A fraction of exactly three digits gets a fourth, so that no reader takes its
    point for the one between thousands."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        if cell.is_integer() and abs(cell) < 1e15:
            return str(int(cell))
        text = repr(cell)
        whole, _, fraction = text.partition(".")
        return f"{whole}.{fraction}0" if len(fraction) == 3 and fraction.isdigit() else text
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return "" if cell is None else str(cell)


if __name__ == "__main__":
    try:
        sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # a text stream, whatever the stub says
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]  # as above
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    except BrokenPipeError:
        sys.stderr.close()
    except MemoryError:
        sys.exit(3)
    except Exception as fault:
        sys.stderr.write(f"{type(fault).__name__}: {fault}")
        sys.exit(4)
