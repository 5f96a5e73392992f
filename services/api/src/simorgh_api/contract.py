"""Writes the description of the API to contracts/openapi.json: `python -m simorgh_api.contract FILE`."""

import json
import sys
from pathlib import Path

from pydantic import SecretStr

from simorgh_api.app import create_app
from simorgh_api.settings import ApiSettings


def contract() -> str:
    """The OpenAPI document as it is committed. No server is needed: connections open when first used."""
    unused = SecretStr("described, never served, and never signs a token")
    app = create_app(
        ApiSettings(
            database_url=SecretStr("postgresql+psycopg://localhost/none"),
            redis_url=SecretStr("redis://localhost/0"),
            s3_endpoint_url="http://localhost",
            s3_access_key_id="none",
            s3_secret_access_key=unused,
            signing_key=unused,
        )
    )
    return json.dumps(app.openapi(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(contract(), "utf-8")
