"""What every service shares. It loads nothing itself, so that importing one part loads no other.

Nothing leaves the machine by itself: libraries that tell their makers what is done here are silenced before anything
imports them. Each service's package imports this one first for that.

- OpenVINO and NNCF bring `openvino_telemetry`, ask nobody, and send an event when they are imported.
- onnxruntime from 1.29 on makes up an id of the machine at its import and reports each session, names of models among
  it; its `disable_telemetry_events()` comes too late for the first.

redis loads OpenTelemetry's SDK for figures of its own wherever that is installed: 60 modules and 3 MB in each
process. It is told that there is none; `tracing` takes that back where traces are kept.
"""

import os
import sys

for _name in ("openvino_telemetry", "openvino_telemetry.backend", "opentelemetry.sdk"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]  # how Python says: no such module
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # children inherit it, or import this
