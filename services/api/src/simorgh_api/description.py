"""The gateway's description of itself: FastAPI's, with errors under the media type in which they are sent."""

from typing import Any

from fastapi import FastAPI

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


def _responses(document: dict[str, Any]) -> list[dict[str, Any]]:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    return [response for operation in operations for response in operation["responses"].values()]
