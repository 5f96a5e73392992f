"""The gateway's description of itself: FastAPI's, with errors under the media type in which they are sent.

The page at /docs is made from files of a package: FastAPI's own loads its scripts from a host on the internet, and
is blank without one (R-DEPLOY-6).
"""

from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

_PROBLEM = {"$ref": "#/components/schemas/Problem"}


class DescribedApp(FastAPI):
    """A FastAPI application whose problems are described as `application/problem+json` (RFC 9457)."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        is_made = self.openapi_schema is not None
        document = super().openapi()
        if not is_made:
            for response in _responses(document):
                content = response.get("content", {})
                if content.get("application/json", {}).get("schema") == _PROBLEM:
                    content["application/problem+json"] = content.pop("application/json")
        return document


def add_documentation(app: FastAPI) -> None:
    """Serve the page that shows the API and lets one try it."""
    app.mount("/docs/files", StaticFiles(directory=str(files("fastapi_offline") / "static")), name="docs-files")

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> HTMLResponse:
        """Swagger UI."""
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url="docs/files/swagger-ui-bundle.js",
            swagger_css_url="docs/files/swagger-ui.css",
            swagger_favicon_url="docs/files/favicon.png",
            swagger_ui_parameters={"tryItOutEnabled": True, "persistAuthorization": True},
        )


def _responses(document: dict[str, Any]) -> list[dict[str, Any]]:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    return [response for operation in operations for response in operation["responses"].values()]
