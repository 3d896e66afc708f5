"""Rows that are walked are tested for words as FTS5 would find them."""

from __future__ import annotations

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from core.database.sqlite import begins_word
from core.ids import sort_key

TEXTS = st.text(alphabet="abAB12äÄéÉñçü .-@/,_’日", max_size=24)


@settings(deadline=None)
@given(text=TEXTS, typed=st.text(alphabet="ab12äé", min_size=1, max_size=4))
def test_a_walked_row_has_a_word_exactly_where_the_index_finds_it(text: str, typed: str) -> None:
    word = sort_key(typed)
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (text, tokenize='unicode61 remove_diacritics 2')")
    connection.execute("INSERT INTO words VALUES (?)", (text,))

    found = connection.execute("SELECT count(*) FROM words WHERE words MATCH ?", (f'"{word}"*',)).fetchone()[0] == 1
    connection.close()

    assert begins_word(text, word) == found
