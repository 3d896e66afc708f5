"""What happened to settings."""

from core.activity.events import Event


class SettingsChanged(Event, subject="settings"):
    key: str


class PluginEnabled(Event, subject="plugin"):
    plugin: str


class PluginDisabled(Event, subject="plugin"):
    plugin: str
