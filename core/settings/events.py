"""What happened to settings."""

from core.activity.events import Event


class SettingsChanged(Event, subject="settings"):
    key: str
