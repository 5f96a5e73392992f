"""The engine child: one loaded model behind a Unix socket. Pure: no web, database, queue or settings."""

from simorgh_shared.telemetry import forbid_telemetry

forbid_telemetry()  # the one import that does something: engines import OpenVINO at their top, and it tells at once
