"""Rows of settings."""

from piccolo.columns import Text, Timestamptz
from piccolo.table import Table

from core.database import STAFF_ONLY


class Setting(Table):
    """One struct of settings as JSON, under the feature's or the plugin's name; secrets in it are sealed."""

    belongs = STAFF_ONLY

    key = Text(primary_key=True)
    value = Text()
    changed_at = Timestamptz()
