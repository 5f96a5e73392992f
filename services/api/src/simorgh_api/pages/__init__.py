"""Pages for people that stand by themselves: rendered from what the API tells anyway."""

from simorgh_shared.pages.frame import CONTENT_SECURITY_POLICY

HEADERS = {
    "content-security-policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "private, no-cache",
}
"""Of every page: its own style and nothing else, and no other site around it."""
