"""Runs the real platform code with two small processes in place of the services.

python small_platform.py DATA_DIR
"""

import os
import sys
from pathlib import Path

from simorgh_cli.commands.embedded import summary
from simorgh_cli.platform import running_platform
from simorgh_cli.processes import Service
from simorgh_cli.supervisor import BackOff
from simorgh_cli.terminal.output import say

_WEB = """
import http.server, os, subprocess, sys
# A grandchild in a session of its own, which does not tie itself to its parent's life.
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", os.getcwd()], start_new_session=True)
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/orphan":
            subprocess.run("sleep 0.3 & echo orphan $! > orphan", shell=True, check=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(repr(sorted(os.environ)).encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["SIMORGH_API_PORT"])), Ready).serve_forever()
"""
_CRASHER = "import sys, time; time.sleep(0.05); sys.exit('the disk of the crasher is full')"

SERVICES = (
    Service("web", (sys.executable, "-c", _WEB), ready_at="SIMORGH_API_PORT"),
    Service("crasher", (sys.executable, "-c", _CRASHER), loads_torch=True, metrics_port=True),
)


def main() -> None:
    given = dict(os.environ)
    with running_platform(Path(sys.argv[1]), given, say, SERVICES, BackOff(first_s=0.1)) as platform:
        say(summary(platform))
        platform.supervisor.watch(poll_s=0.02)


if __name__ == "__main__":
    main()
