"""Rows of staff users, their roles, what they log in with, and API tokens."""

from piccolo.columns import BigInt, Boolean, ForeignKey, Integer, Serial, Text, Timestamptz
from piccolo.table import Table

from core.database import STAFF_ONLY


class Role(Table):
    """A named set of permissions; `permissions` is a JSON list of keys, or ["*"]. With `second_factor` whoever has it
    needs one to log in."""

    belongs = STAFF_ONLY

    id: Serial
    label = Text()
    permissions = Text()
    builtin = Boolean()
    second_factor = Boolean()


class Staff(Table):
    """A person who works for the operator. Without a password hash nobody logs in as it.

    `totp_sealed` is the secret shared with its authenticator app, `totp_step` the last step whose code was taken. With
    `second_factor` it needs one whatever its role says.
    """

    belongs = STAFF_ONLY

    id: Serial
    name = Text()
    name_key = Text(index=True)
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
    time_zone = Text()
    totp_sealed = Text()
    totp_step = BigInt()
    totp_since = Timestamptz(null=True)
    second_factor = Boolean()
    version = Integer(default=1)


class RecoveryCode(Table):
    """A code that stands in for the second factor once; only its hash is kept."""

    belongs = STAFF_ONLY

    id: Serial
    staff_id = ForeignKey(Staff, index=True)
    code_hash = Text()
    used_at = Timestamptz(null=True)


class Passkey(Table):
    """A key on a device of a staff user, under a name of its own."""

    belongs = STAFF_ONLY

    id: Serial
    staff_id = ForeignKey(Staff, index=True)
    name = Text()
    credential_id = Text(unique=True)
    public_key = Text()
    sign_count = BigInt()
    created_at = Timestamptz()
    last_used_at = Timestamptz(null=True)


class PasskeyChallenge(Table):
    """What a device is to sign next; used up by the first answer."""

    belongs = STAFF_ONLY

    id: Serial
    challenge_hash = Text(unique=True)
    purpose = Text()
    staff_id = ForeignKey(Staff, null=True, index=True)
    expires_at = Timestamptz()


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
    """A bearer token for programs: shown once, kept as a hash, limited to its permissions.

    `staff_id` is the person behind it, also where a token of that person made it: it works while that one may log in.
    """

    belongs = STAFF_ONLY

    id: Serial
    name = Text()
    token_hash = Text(unique=True)
    permissions = Text()
    created_by = Text()
    staff_id = ForeignKey(Staff, null=True, index=True)
    created_at = Timestamptz()
    expires_at = Timestamptz(null=True)
    last_used_at = Timestamptz(null=True)
    revoked_at = Timestamptz(null=True)
