"""What the standard of passkeys (WebAuthn) asks and proves. Loaded where somebody uses one: it brings the formats of
all makers of keys with it, a twentieth of a start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

DOES_NOT_HOLD = (WebAuthnException, ValueError, KeyError, TypeError)


class Question(Struct, frozen=True):
    """What a browser is asked: the challenge, which is used once, and all of it as JSON. Identifiers, keys and
    challenges are base64url here as everywhere."""

    challenge: str
    text: str


class NewKey(Struct, frozen=True):
    credential_id: str
    public_key: str
    sign_count: int


def ask_for_new(*, party: str, tenant: str, user: bytes, email: str, name: str, has: Sequence[str]) -> Question:
    """To make a passkey, on a device that holds none of those that somebody `has`."""
    options = generate_registration_options(
        rp_id=party,
        rp_name=tenant,
        user_id=user,
        user_name=email,
        user_display_name=name,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_described(has),
    )
    return Question(bytes_to_base64url(options.challenge), options_to_json(options))


def ask_to_sign(*, party: str, has: Sequence[str] | None) -> Question:
    """To log in with a passkey: with one of those that somebody `has`, or whichever there is."""
    options = generate_authentication_options(
        rp_id=party,
        allow_credentials=_described(has) if has is not None else None,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return Question(bytes_to_base64url(options.challenge), options_to_json(options))


def challenge_of(answer: dict[str, Any]) -> str | None:
    """The challenge that a browser says it answers; None where it says nothing that can be read."""
    try:
        said = parse_client_data_json(base64url_to_bytes(str(answer["response"]["clientDataJSON"])))
    except DOES_NOT_HOLD:
        return None
    return bytes_to_base64url(said.challenge)


def prove_new(answer: dict[str, Any], *, challenge: str, party: str, origin: str) -> NewKey | None:
    """The passkey that was made; None where the answer does not hold."""
    try:
        made = verify_registration_response(
            credential=answer,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=party,
            expected_origin=origin,
            require_user_verification=True,
        )
    except DOES_NOT_HOLD:
        return None
    return NewKey(
        bytes_to_base64url(made.credential_id), bytes_to_base64url(made.credential_public_key), made.sign_count
    )


def prove_signed(
    answer: dict[str, Any], *, challenge: str, party: str, origin: str, public_key: str, sign_count: int
) -> int | None:
    """How often the passkey has signed by now; None where the answer does not hold."""
    try:
        signed = verify_authentication_response(
            credential=answer,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=party,
            expected_origin=origin,
            credential_public_key=base64url_to_bytes(public_key),
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except DOES_NOT_HOLD:
        return None
    return signed.new_sign_count


def _described(credentials: Sequence[str]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in credentials]
