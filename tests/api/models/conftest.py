"""The world of tests/api/chat, for tests of models."""

from tests.api.chat.conftest import silent_world

__all__ = ["silent_world"]
