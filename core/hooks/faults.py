"""What goes wrong with plugins."""

from __future__ import annotations

from core.errors import Conflict
from core.texts import _


class PluginError(Exception):
    """A plugin does not fit: it stays out, the others go on. Found when plugins are loaded, never while they run."""

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(f"Plugin {plugin}: {reason}")
        self.plugin = plugin
        self.reason = reason


class PluginFailed(Conflict):
    """A plugin broke while it was asked whether something may be done, so it was not done."""

    def __init__(self, plugin: str, hook: str) -> None:
        super().__init__(
            _(
                "The plugin %(plugin)s failed while it was asked (%(hook)s). Nothing was changed.",
                plugin=plugin,
                hook=hook,
            )
        )
        self.plugin = plugin
        self.hook = hook
