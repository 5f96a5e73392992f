"""Entry of `simorgh-api`."""

import sys

import uvicorn

from simorgh_api.app import create_app
from simorgh_api.settings import ApiSettings
from simorgh_shared.domain.errors import AppError
from simorgh_shared.exposition import introduce
from simorgh_shared.logging import configure_logging

_DRAIN_S = 10


def main() -> None:
    """Serve until SIGTERM or SIGINT, then let requests end."""
    settings = ApiSettings()
    configure_logging("simorgh-api", settings.log_level)
    introduce("api")
    try:
        app = create_app(settings)
    except AppError as error:
        sys.exit(f"simorgh-api cannot start: {error}")
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        http="h11",
        loop="asyncio",  # with uvloop, which the inference server brings, pipes to children are sockets of fixed size
        access_log=False,
        timeout_graceful_shutdown=_DRAIN_S,
        server_header=False,
    )
