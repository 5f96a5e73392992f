"""The page that shows the API."""

import re

import httpx

from tests.support.gateway import Gateway


class TestDocs:
    def test_the_page_needs_no_other_host(self, gateway: Gateway) -> None:
        """R-DEPLOY-6: its scripts and styles come from the gateway, and describe this gateway's API."""
        page = httpx.get(f"{gateway.url}/docs")
        assert page.status_code == 200
        addresses = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
        assert len(addresses) >= 3
        for address in addresses:
            assert "//" not in address
            assert httpx.get(f"{gateway.url}/{address}").status_code == 200
        assert "openapi.json" in page.text
        assert "/api/train/start" in httpx.get(f"{gateway.url}/openapi.json").json()["paths"]
