"""Keeps libraries from telling their makers what is done here: nothing leaves the machine by itself."""

import sys

_TELLERS = ("openvino_telemetry", "openvino_telemetry.backend")
"""OpenVINO and NNCF bring it, ask nobody, and send an event when they are imported. Without it they are silent."""


def forbid_telemetry() -> None:
    """Make the import of such packages fail. To be called before OpenVINO or NNCF is imported."""
    for name in _TELLERS:
        sys.modules[name] = None  # type: ignore[assignment]  # how Python says that there is no such module
