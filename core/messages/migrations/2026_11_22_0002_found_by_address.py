"""A message is found by the address that it goes to first: as much of it as an index may hold."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:02:00"
VERSION = "1"
DESCRIPTION = "messages by address"

INDEX = "CREATE INDEX message_address ON message (lower(substr(recipients, 1, 260)){bytewise})"


async def forwards() -> None:
    await run_sql(
        sqlite=INDEX.replace("{bytewise}", ""),
        postgresql=INDEX.replace("{bytewise}", ' COLLATE "C"'),
    )
