"""Rows of staff users, their roles, one-time links and API tokens."""

from piccolo.columns import Boolean, ForeignKey, Serial, Text, Timestamptz
from piccolo.table import Table

from core.database import STAFF_ONLY


class Role(Table):
    """A named set of permissions; `permissions` is a JSON list of keys, or ["*"]."""

    belongs = STAFF_ONLY

    id: Serial
    label = Text()
    permissions = Text()
    builtin = Boolean()


class Staff(Table):
    """A person who works for the operator. Without a password hash nobody logs in as it."""

    belongs = STAFF_ONLY

    id: Serial
    name = Text()
    email = Text()
    email_key = Text(unique=True)
    password_hash = Text()
    role_id = ForeignKey(Role, index=True)
    active = Boolean()
    theme = Text()
    narrow = Boolean()
    language = Text()
    created_at = Timestamptz()
    last_seen_at = Timestamptz(null=True)


class OneTimeLink(Table):
    """A link that lets a staff user set a password once: invitation or reset. Only the hash of its token is kept."""

    belongs = STAFF_ONLY

    id: Serial
    staff_id = ForeignKey(Staff, index=True)
    purpose = Text()
    token_hash = Text(unique=True)
    expires_at = Timestamptz()
    used_at = Timestamptz(null=True)


class ApiToken(Table):
    """A bearer token for programs: shown once, kept as a hash, limited to its permissions."""

    belongs = STAFF_ONLY

    id: Serial
    name = Text()
    token_hash = Text(unique=True)
    permissions = Text()
    created_by = Text()
    created_at = Timestamptz()
    expires_at = Timestamptz(null=True)
    last_used_at = Timestamptz(null=True)
    revoked_at = Timestamptz(null=True)
