"""A tenant with a mail server of its own, and the worker that sends."""

from tests.messages import mailing
from tests.smtp import smtp_sink

__all__ = ["mailing", "smtp_sink"]
