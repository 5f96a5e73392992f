"""Structured JSON logs on standard error: one object a line, with the ids that the context carries."""

import logging
import sys

import structlog

_SAID_CHARS = 200


def configure_logging(service: str, level: str = "info") -> None:
    """Send this process's logs, its libraries' too, through one JSON renderer. Entry points call it once."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(service),
    ]
    renderer: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    numeric = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(numeric, logging.WARNING), force=True)


def cause(error: BaseException) -> str:
    """What went wrong, for a log: the kind, and what drivers of servers say of connections. Others may quote data."""
    kind = type(error)
    is_told = kind.__module__.split(".")[0] == "redis" or kind.__name__ in ("OperationalError", "InterfaceError")
    said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0] if is_told else ""
    return f"{kind.__name__}: {said[:_SAID_CHARS]}" if said else kind.__name__


def _named(service: str) -> structlog.typing.Processor:
    def add(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    return add
