"""What happened to the books' settings."""

from core.activity.events import Event


class FxRateSet(Event, subject="fx_rate"):
    fx_rate_id: int
