"""Entry of `simorgh-inference`."""

import argparse
from pathlib import Path

import uvicorn

from simorgh_inference.app import create_app
from simorgh_inference.registry import FolderSource, ModelSource, RegistrySource
from simorgh_inference.settings import RegistrySettings, ServerSettings
from simorgh_shared import tracing
from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.exposition import introduce, show_folder
from simorgh_shared.logging import configure_logging
from simorgh_shared.monitoring.sampler import Sampled, Sampler
from simorgh_shared.settings import settings_or_exit
from simorgh_shared.spawning import forbid_inspection
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.s3 import make_client
from simorgh_shared.worker import gpus


def main() -> None:
    """Serve models of the registry, or the one folder that `--model-dir` names, with neither database nor storage."""
    parser = argparse.ArgumentParser(prog="simorgh-inference", description="Serves models to the gateway over HTTP.")
    parser.add_argument("--model-dir", type=Path, help="serve this folder alone")
    arguments = parser.parse_args()
    forbid_inspection()
    settings = settings_or_exit(ServerSettings, "simorgh-inference")
    configure_logging("inference", settings.log_level)
    introduce("inference")
    tracing.configure_tracing("inference")
    source: ModelSource
    if arguments.model_dir is not None:
        if not arguments.model_dir.is_dir():
            parser.error(f"--model-dir: {arguments.model_dir} is no folder")
        source = FolderSource(arguments.model_dir)
    else:
        registry = settings_or_exit(RegistrySettings, "simorgh-inference")
        registry.cache_dir.mkdir(parents=True, exist_ok=True)
        show_folder("cache", registry.cache_dir)
        engine = make_engine(registry.database_url.get_secret_value(), pool_size=3, name="simorgh-inference")
        store = BlobStore(make_client(registry), registry.s3_bucket)
        source = RegistrySource(engine, store, registry.cache_dir)
        sampled = Sampled("inference", registry.cache_dir, gpus=gpus.figures)
        Sampler(make_sessions(engine), registry, sampled).start()  # uvicorn ends by the signal: nothing comes after
    uvicorn.run(
        create_app(settings, source),
        host=settings.inference_host,
        port=settings.inference_port,
        log_config=None,
        http="httptools",
        loop="uvloop",
        timeout_graceful_shutdown=round(settings.drain_grace_s),
    )


if __name__ == "__main__":
    main()
