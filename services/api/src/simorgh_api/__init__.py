"""The gateway and the dispatcher."""

import simorgh_shared  # noqa: F401  # before redis: see there
