"""Entry of `simorgh-api`."""

import argparse
import sys
from types import FrameType

import uvicorn

from simorgh_api.app import create_app
from simorgh_api.settings import ApiSettings
from simorgh_shared import tracing
from simorgh_shared.domain.errors import AppError
from simorgh_shared.exposition import introduce
from simorgh_shared.logging import configure_logging
from simorgh_shared.settings import settings_or_exit
from simorgh_shared.spawning import forbid_inspection

_DESCRIPTION = "The gateway: the REST API and OpenAI's. Its settings are SIMORGH_… variables (docs/configuration.md)."
_NOT_STARTED = 3  # as uvicorn's own command says it


class _Server(uvicorn.Server):
    """Ends streams of events, which have no end of their own, when it is told to end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On SIGTERM and SIGINT."""
        self.config.app.state.broadcast.drain()  # type: ignore[union-attr]  # the gateway's
        super().handle_exit(sig, frame)


def main() -> None:
    """Serve until SIGTERM or SIGINT, then let requests end."""
    forbid_inspection()
    argparse.ArgumentParser(prog="simorgh-api", description=_DESCRIPTION).parse_args()
    settings = settings_or_exit(ApiSettings, "simorgh-api")
    configure_logging("simorgh-api", settings.log_level)
    introduce("api")
    tracing.configure_tracing("api")
    try:
        app = create_app(settings)
    except AppError as error:
        sys.exit(f"simorgh-api cannot start: {error}")
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        http="h11",
        loop="asyncio",  # with uvloop, which the inference server brings, pipes to children are sockets of fixed size
        access_log=False,
        timeout_graceful_shutdown=round(settings.drain_grace_s),
        server_header=False,
    )
    server = _Server(config)
    server.run()
    if not server.started:
        sys.exit(_NOT_STARTED)
