"""What the processes say of themselves: one JSON object a line, or lines for a person at a terminal, on stderr.

Every line of a request or a job carries its tenant, its request id (as the error pages show it) or job, and who acted,
by kind and id and never by name: logs leave the deployment, and personal data stay in the tenants' databases.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from core.config import Log

SHARED: Final[list[Any]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
OURS: Final = structlog.stdlib.ProcessorFormatter
PROCESSORS: Final[list[Any]] = [
    structlog.stdlib.filter_by_level,
    *SHARED,
    structlog.stdlib.PositionalArgumentsFormatter(),
    OURS.wrap_for_formatter,
]
"""One list for good: loggers keep the one of their first word, so a second set-up must not bring another."""
QUIET: Final = ("asyncio", "fontTools", "httpx", "uvicorn")
"""Others' loggers that speak of what is normal."""


def set_up_logs(log: Log) -> None:
    """Before anything is logged; a second time instead of the first. Libraries' words take this way too."""
    as_json = log.format == "json" or (log.format == "auto" and not sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[(log.level or ("info" if as_json else "warning")).upper()]
    last = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        OURS(
            foreign_pre_chain=SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [one for one in root.handlers if not isinstance(one.formatter, OURS)] + [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
