"""SQLite's indexes of words and of pieces merge sixteen of their parts at a time, not four: each commit of an import adds
one, and what was written was written again so much more often. A search looks at some more, small ones.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:36:00"
VERSION = "1"
DESCRIPTION = "words of customers are merged less often"
SQLITE = "".join(
    f"INSERT INTO {index} ({index}, rank) VALUES ('automerge', 16);" for index in ("customer_words", "customer_pieces")
)


async def forwards() -> None:
    await run_sql(sqlite=SQLITE)
