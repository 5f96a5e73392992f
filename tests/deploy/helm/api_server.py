"""So much of Kubernetes' API as helm asks for when it renders: which kinds there are, and single objects by name.

It is no cluster: nothing is admitted, stored or run.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.deploy.helm.rendering import NAMESPACE, Json


@contextmanager
def api_server(kinds: list[Json], secrets: list[Json]) -> Iterator[str]:
    """The address of one that knows the kinds of these objects, and holds these Secrets."""
    answers = _discovery(kinds)
    for item in secrets:
        answers[f"/api/v1/namespaces/{NAMESPACE}/secrets/{item['metadata']['name']}"] = item
    missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}

    class Handler(BaseHTTPRequestHandler):
        """Answers with what is there, or that it is not."""

        def do_GET(self) -> None:
            """One path."""
            found = answers.get(self.path.partition("?")[0])
            body = json.dumps(found or missing).encode()
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """No line for each request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _discovery(kinds: list[Json]) -> dict[str, Json]:
    """The documents by which a client learns what the server knows."""
    by_version: dict[str, set[str]] = {"v1": {"Secret"}}
    for item in kinds:
        by_version.setdefault(item["apiVersion"], set()).add(item["kind"])
    groups = []
    answers: dict[str, Json] = {
        "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
    }
    for group_version, names in by_version.items():
        group, _, version = group_version.rpartition("/")
        resources = [{"name": _plural(name), "namespaced": True, "kind": name, "verbs": ["get"]} for name in names]
        at = f"/apis/{group_version}" if group else f"/api/{version}"
        answers[at] = {"kind": "APIResourceList", "groupVersion": group_version, "resources": resources}
        if group:
            one = {"groupVersion": group_version, "version": version}
            groups.append({"name": group, "versions": [one], "preferredVersion": one})
    answers["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    return answers


def _plural(kind: str) -> str:
    return kind.lower().removesuffix("y") + ("ies" if kind.endswith("y") else "s")
