"""What every service shares. It loads nothing itself, so that importing one part loads no other.

redis loads OpenTelemetry's SDK for figures of its own wherever that is installed: 60 modules and 3 MB in each
process. It is told that there is none, before anything imports it; `tracing` takes that back where traces are kept.
"""

import sys

sys.modules.setdefault("opentelemetry.sdk", None)  # type: ignore[arg-type]  # how Python says: no such module
