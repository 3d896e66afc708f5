"""The words that each customer is found by, kept by triggers: whatever changes a customer or its addresses, one or a
hundred thousand, changes its words in the same statement.

`customer_search.text` holds the words: the keys that the customer's columns have already, its company and street
brought into the same form in SQL (no accents on Latin and Greek letters, no capitals), each phone number with and
without its country's code, the VAT id, and the id. SQLite finds beginnings of words by FTS5 over this text, PostgreSQL
by trigrams, which is why there the text begins with a blank and has one blank between words. FTS5 finds a beginning of two to five letters without collecting all of its customers first.
"""

from collections.abc import Iterable

from core.database.migrations import run_sql

ID = "2026-11-22T00:03:00"
VERSION = "1"
DESCRIPTION = "search of customers"

BARE = {
    "ß": "ss", "ẞ": "ss", "ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "ħ": "h", "Ħ": "h",
    "ŧ": "t", "Ŧ": "t", "ı": "i", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "þ": "th", "Þ": "th", "ð": "d", "Ð": "d",
    "ά": "α", "Ά": "α", "έ": "ε", "Έ": "ε", "ή": "η", "Ή": "η", "ί": "ι", "Ί": "ι", "ϊ": "ι", "Ϊ": "ι", "ΐ": "ι",
    "ό": "ο", "Ό": "ο", "ύ": "υ", "Ύ": "υ", "ϋ": "υ", "Ϋ": "υ", "ΰ": "υ", "ώ": "ω", "Ώ": "ω", "ς": "σ",
}  # fmt: skip
"""What FTS5 leaves of accents: it knows the marks on Latin letters, and the capitals of all."""
TWO_DIGITS = [
    "20",
    "27",
    "30",
    "31",
    "32",
    "33",
    "34",
    "36",
    "39",
    "40",
    "41",
    "43",
    "44",
    "45",
    "46",
    "47",
    "48",
    "49",
    "51",
    "52",
    "53",
    "54",
    "55",
    "56",
    "57",
    "58",
    "60",
    "61",
    "62",
    "63",
    "64",
    "65",
    "66",
    "81",
    "82",
    "84",
    "86",
    "90",
    "91",
    "92",
    "93",
    "94",
    "95",
    "98",
]
"""Countries' codes of two digits (E.164); 1 and 7 have one, all others three."""


def _phone(number: str, place: str) -> str:
    """Its digits, then those without the country's code. `place` tells where a text begins in another: a list after IN
    would be made anew by SQLite for each row of a trigger.
    """
    two = f"{place}('{' '.join(TWO_DIGITS)}', substr({number}, 2, 2)) > 0"
    start = f"CASE WHEN substr({number}, 2, 1) IN ('1', '7') THEN 3 WHEN {two} THEN 4 ELSE 5 END"
    return f"CASE WHEN {number} = '' THEN '' ELSE substr({number}, 2) || ' ' || substr({number}, {start}) END"


FREQUENT = "ßøØłŁæÆœŒ"
"""Those of western names: what has no other of them is spared forty replacements."""


def _bare(text: str) -> str:
    """Plain text, as nearly all is, is taken as it stands. Ten letters at a time: SQLite's parser goes no deeper."""
    rare = "".join(letter for letter in BARE if letter not in FREQUENT)
    bare = f"SELECT {text} AS t"
    letters = list(BARE)
    for start in range(0, len(letters), 10):
        bare = f"SELECT {_replaced('t', letters[start : start + 10])} AS t FROM ({bare})"
    return f"""CASE
        WHEN length({text}) = length(CAST({text} AS blob)) THEN {text}
        WHEN {text} GLOB '*[{rare}]*' THEN ({bare})
        WHEN {text} GLOB '*[{FREQUENT}]*' THEN {_replaced(text, FREQUENT)}
        ELSE {text} END"""


def _replaced(text: str, letters: Iterable[str]) -> str:
    for letter in letters:
        text = f"replace({text}, '{letter}', '{BARE[letter]}')"
    return text


def _words(of: str, bare: str, place: str) -> str:
    """The words of a row of customer, its further addresses left out."""
    return " || ' ' || ".join(
        (
            f"{of}.id",
            f"{of}.name_key",
            bare.replace("TEXT", f"{of}.company"),
            f"{of}.login_key",
            f"{of}.email_key",
            _phone(f"{of}.phone_e164", place),
            bare.replace("TEXT", f"{of}.street"),
            f"lower({of}.zip)",
            f"{of}.city_key",
            f"lower({of}.vat_id)",
        )
    )


SEARCHED = ["name_key", "company", "login_key", "email_key", "phone_e164", "street", "zip", "city_key", "vat_id"]


def _further(gather: str, place: str) -> str:
    """What customer_address holds beside the first e-mail and phone, which stand in the customer's own row."""
    return f"""(SELECT coalesce({gather}(words, ' '), '') FROM (
        SELECT CASE WHEN a.kind = 'phone' THEN {_phone("a.value_key", place)} ELSE a.value_key END AS words
        FROM customer_address a WHERE a.customer_id = c.id AND a.value_key NOT IN (c.email_key, c.phone_e164)
        ORDER BY a.kind, a.position) further)"""


SQLITE_BARE = _bare("TEXT")
SQLITE_ALL = f"{_words('c', SQLITE_BARE, 'instr')} || ' ' || {_further('group_concat', 'instr')}"
SQLITE_CHANGED = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in SEARCHED)


def _sqlite_again(customer_id: str) -> str:
    """Writes the words of a customer that have changed. Nothing where it has just been deleted."""
    return f"""
    UPDATE customer_search SET text = now.text
    FROM (SELECT c.id, {SQLITE_ALL} AS text FROM customer c WHERE c.id = {customer_id}) now
    WHERE customer_search.customer_id = now.id AND customer_search.text <> now.text;"""


SQLITE = f"""
CREATE TABLE customer_search (
    customer_id integer PRIMARY KEY REFERENCES customer (id) ON DELETE CASCADE,
    text text NOT NULL
);
CREATE VIRTUAL TABLE customer_words USING fts5 (
    text, content='customer_search', content_rowid='customer_id', prefix='2 3 4 5', detail=none, columnsize=0,
    tokenize='unicode61 remove_diacritics 2'
);
CREATE TRIGGER customer_search_words_insert AFTER INSERT ON customer_search
BEGIN INSERT INTO customer_words (rowid, text) VALUES (NEW.customer_id, NEW.text); END;
CREATE TRIGGER customer_search_words_delete AFTER DELETE ON customer_search
BEGIN INSERT INTO customer_words (customer_words, rowid, text) VALUES ('delete', OLD.customer_id, OLD.text); END;
CREATE TRIGGER customer_search_words_update AFTER UPDATE ON customer_search
BEGIN
    INSERT INTO customer_words (customer_words, rowid, text) VALUES ('delete', OLD.customer_id, OLD.text);
    INSERT INTO customer_words (rowid, text) VALUES (NEW.customer_id, NEW.text);
END;
INSERT INTO customer_search (customer_id, text) SELECT c.id, {SQLITE_ALL} FROM customer c;
CREATE TRIGGER customer_search_insert AFTER INSERT ON customer
BEGIN INSERT INTO customer_search (customer_id, text) VALUES (NEW.id, {_words("NEW", SQLITE_BARE, "instr")} || ' '); END;
CREATE TRIGGER customer_search_update AFTER UPDATE OF {", ".join(SEARCHED)} ON customer WHEN {SQLITE_CHANGED}
BEGIN {_sqlite_again("NEW.id")} END;
CREATE TRIGGER customer_search_address_insert AFTER INSERT ON customer_address
WHEN NOT EXISTS (SELECT 1 FROM customer WHERE id = NEW.customer_id AND NEW.value_key IN (email_key, phone_e164))
BEGIN {_sqlite_again("NEW.customer_id")} END;
CREATE TRIGGER customer_search_address_delete AFTER DELETE ON customer_address
BEGIN {_sqlite_again("OLD.customer_id")} END;
CREATE TRIGGER customer_search_address_update AFTER UPDATE ON customer_address
BEGIN {_sqlite_again("OLD.customer_id")} {_sqlite_again("NEW.customer_id")} END;
"""


def _postgresql_text(words: str) -> str:
    """A row of marks and blanks becomes one blank."""
    return f"""' ' || regexp_replace(({words}) COLLATE "C", $$[ -/:-@[-`{{|}}~]+$$, ' ', 'g')"""


POSTGRESQL_BARE = "customer_search_bare(TEXT)"
POSTGRESQL_WORDS = _postgresql_text(
    f"{_words('c', POSTGRESQL_BARE, 'strpos')} || ' ' || {_further('string_agg', 'strpos')}"
)
POSTGRESQL_FIRST_WORDS = _postgresql_text(f"{_words('c', POSTGRESQL_BARE, 'strpos')} || ' '")
"""Of a customer that has just been made: addresses come after it."""
POSTGRESQL_CHANGED = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in SEARCHED)


def _postgresql_again(some: str) -> str:
    return f"""
    UPDATE customer_search SET text = now.text
    FROM (SELECT c.id, {POSTGRESQL_WORDS} AS text FROM customer c WHERE c.id IN (SELECT customer_id FROM {some})) now
    WHERE customer_search.customer_id = now.id AND customer_search.text <> now.text;"""


ACCENTED = {
    "a": "äáàâåãąÄÁÀÂÅ", "c": "çčćÇČĆ", "d": "ďĎ", "e": "éèêëęěÉÈĘ", "i": "íìîïÍ", "l": "łľŁ", "n": "ñńňÑ",
    "o": "öóòôõøőÖÓØŐ", "r": "řŘ", "s": "šśŠŚ", "t": "ťŤ", "u": "üúùûůűÜÚŰ", "y": "ýÿ", "z": "žźżŽŹŻ",
}  # fmt: skip
"""Letters of most European names, for text that has none but these: normalising costs ten times as much."""

# Joins of a transition table are told to go by the index: its size is unknown when the plan is kept.
BY_INDEX = "SET enable_hashjoin = off SET enable_mergejoin = off"

POSTGRESQL = f"""
CREATE TABLE customer_search (
    customer_id bigint PRIMARY KEY REFERENCES customer (id) ON DELETE CASCADE,
    text {{key}} NOT NULL
);
CREATE FUNCTION customer_search_bare(given text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $body$
DECLARE bare text;
BEGIN
    IF octet_length(given) = length(given) THEN RETURN lower(given COLLATE "C"); END IF;
    bare := replace(translate(lower(given COLLATE "C"), '{"".join(ACCENTED.values())}',
        '{"".join(letter * len(accented) for letter, accented in ACCENTED.items())}'), 'ß', 'ss');
    IF octet_length(bare) = length(bare) THEN RETURN bare; END IF;
    RETURN replace(replace(replace(replace(translate(
        normalize(regexp_replace(normalize(lower(given COLLATE "und-x-icu"), NFKD) COLLATE "C",
            '([A-Za-z\u00c0-\u024f\u0370-\u03ff\u1e00-\u1fff])[\u0300-\u036f]+', '\\1', 'g'), NFKC),
        'øłđħŧıðς', 'oldhtidσ'), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th');
END $body$;
INSERT INTO customer_search (customer_id, text) SELECT c.id, {POSTGRESQL_WORDS} FROM customer c;
CREATE INDEX customer_search_text ON customer_search USING gin (text extensions.gin_trgm_ops);

CREATE FUNCTION customer_search_insert() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO customer_search (customer_id, text) SELECT c.id, {POSTGRESQL_FIRST_WORDS} FROM added c;
    RETURN NULL;
END $body$;
CREATE TRIGGER customer_search_insert AFTER INSERT ON customer REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION customer_search_insert();

CREATE FUNCTION customer_search_update() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    {_postgresql_again("(SELECT NEW.id AS customer_id) one")}
    RETURN NULL;
END $body$;
CREATE TRIGGER customer_search_update AFTER UPDATE OF {", ".join(SEARCHED)} ON customer
    FOR EACH ROW WHEN ({POSTGRESQL_CHANGED}) EXECUTE FUNCTION customer_search_update();

CREATE FUNCTION customer_search_address_insert() RETURNS trigger LANGUAGE plpgsql {BY_INDEX} AS $body$
BEGIN
    {
    _postgresql_again(
        "(SELECT customer_id FROM added JOIN customer k ON k.id = added.customer_id"
        " AND added.value_key NOT IN (k.email_key, k.phone_e164)) further_ones"
    )
}
    RETURN NULL;
END $body$;
CREATE TRIGGER customer_search_address_insert AFTER INSERT ON customer_address REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION customer_search_address_insert();

CREATE FUNCTION customer_search_address_delete() RETURNS trigger LANGUAGE plpgsql {BY_INDEX} AS $body$
BEGIN
    {_postgresql_again("removed")}
    RETURN NULL;
END $body$;
CREATE TRIGGER customer_search_address_delete AFTER DELETE ON customer_address REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION customer_search_address_delete();

CREATE FUNCTION customer_search_address_update() RETURNS trigger LANGUAGE plpgsql {BY_INDEX} AS $body$
BEGIN
    {_postgresql_again("removed")}
    {_postgresql_again("added")}
    RETURN NULL;
END $body$;
CREATE TRIGGER customer_search_address_update AFTER UPDATE ON customer_address
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION customer_search_address_update();
"""


async def forwards() -> None:
    await run_sql(sqlite=SQLITE, postgresql=POSTGRESQL)
