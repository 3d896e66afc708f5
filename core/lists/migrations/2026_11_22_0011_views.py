"""Saved views of lists, and which columns of a list somebody sees in which order."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:11:00"
VERSION = "1"
DESCRIPTION = "views of lists"

TABLES = """
CREATE TABLE list_view (
    id {id_never_reused},
    listing {key} NOT NULL,
    owner {key} NOT NULL,
    name text NOT NULL,
    name_key {key} NOT NULL,
    shared boolean NOT NULL DEFAULT FALSE,
    address text NOT NULL,
    columns text NOT NULL DEFAULT '',
    version integer NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX list_view_own ON list_view (listing, owner, name_key);
CREATE UNIQUE INDEX list_view_shared ON list_view (listing, name_key) WHERE shared;
CREATE TABLE list_layout (
    id {id},
    listing {key} NOT NULL,
    owner {key} NOT NULL,
    columns text NOT NULL DEFAULT '',
    view_id bigint REFERENCES list_view (id) ON DELETE SET NULL,
    UNIQUE (listing, owner)
);
CREATE INDEX list_layout_view ON list_layout (view_id);
"""


async def forwards() -> None:
    await run_sql(TABLES)
