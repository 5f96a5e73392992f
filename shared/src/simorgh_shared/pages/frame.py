"""The frame of every page: it needs nothing from anywhere, and runs nothing."""

import base64
import hashlib

from simorgh_shared.pages.html import Markup, tag
from simorgh_shared.pages.style import STYLE

_STYLE_SHA256 = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_SHA256}'; base-uri 'none'; form-action 'none'"
"""Forbids all but the page's own style: no script, no picture, no address."""


def framed(title: str, body: Markup) -> str:
    """The whole page as HTML."""
    head = tag(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="content-security-policy" content="{CONTENT_SECURITY_POLICY}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n"
