"""What happened to staff users, roles and tokens."""

from core.activity.events import Event


class StaffInvited(Event, subject="staff"):
    staff_id: int


class StaffChanged(Event, subject="staff"):
    staff_id: int


class StaffInvitationWithdrawn(Event, subject="staff"):
    staff_id: int


class StaffLinkMade(Event, subject="staff"):
    """A one-time link to a password: handed over, or mailed."""

    staff_id: int


class StaffLoggedIn(Event, subject="staff"):
    staff_id: int


class StaffLoggedOut(Event, subject="staff"):
    staff_id: int


class PasswordSet(Event, subject="staff"):
    staff_id: int


class PasswordChanged(Event, subject="staff"):
    staff_id: int


class SessionsEnded(Event, subject="staff"):
    staff_id: int
    sessions: int


class SecondFactorSet(Event, subject="staff"):
    staff_id: int
    factor: str


class SecondFactorRemoved(Event, subject="staff"):
    staff_id: int
    factor: str


class SecondFactorReset(Event, subject="staff"):
    """By somebody else: the device is lost."""

    staff_id: int


class RecoveryCodesMade(Event, subject="staff"):
    staff_id: int


class RecoveryCodeUsed(Event, subject="staff"):
    staff_id: int


class PasskeyAdded(Event, subject="staff"):
    staff_id: int


class PasskeyRenamed(Event, subject="staff"):
    staff_id: int


class PasskeyRemoved(Event, subject="staff"):
    staff_id: int


class RoleCreated(Event, subject="role"):
    role_id: int


class RoleChanged(Event, subject="role"):
    role_id: int


class RoleRemoved(Event, subject="role"):
    role_id: int


class ApiTokenCreated(Event, subject="api_token"):
    api_token_id: int


class ApiTokenRevoked(Event, subject="api_token"):
    api_token_id: int
