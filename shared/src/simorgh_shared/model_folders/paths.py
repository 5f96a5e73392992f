"""Names of a model's files: data that came from outside, never a way to anywhere."""

import unicodedata
from collections.abc import Sequence

from simorgh_shared.domain.errors import InvalidInputError

MAX_FILES = 1_000  # a model of 2 TB in shards of 5 GB has 400
_MAX_CHARS = 240
_MAX_DEPTH = 6
_UNFIT = frozenset('\\:*?"<>|')  # no file name on some system; a folder that was downloaded must be one anywhere
_LEFT_OUT_FOLDERS = frozenset({".git", ".cache", "__MACOSX", ".ipynb_checkpoints"})
_LEFT_OUT_NAMES = frozenset({".gitattributes", ".gitignore", ".DS_Store", "Thumbs.db", "desktop.ini"})


def checked(path: str) -> str:
    """A relative path with `/` that stays in its folder, in one spelling.

    Raises: InvalidInputError `model_path_unfit`.
    """
    plain = unicodedata.normalize("NFC", path.removeprefix("./"))
    reason = _misfit(plain)
    if reason is not None:
        raise InvalidInputError("model_path_unfit", path=_shown(path), reason=reason)
    return plain


def is_left_out(path: str) -> bool:
    """Whether a file is a trace of a version control, a cache or a desktop, and no part of the model."""
    *folders, name = path.split("/")
    return name in _LEFT_OUT_NAMES or name.startswith("._") or not _LEFT_OUT_FOLDERS.isdisjoint(folders)


def common_top(paths: Sequence[str]) -> str | None:
    """The folder that all files lie in, where the folder itself was sent and not what it holds."""
    tops = {path.partition("/")[0] for path in paths}
    return tops.pop() if len(tops) == 1 and all("/" in path for path in paths) else None


def _misfit(path: str) -> str | None:
    parts = path.split("/")
    if not path or len(path) > _MAX_CHARS:
        return f"it has {len(path)} characters where 1 to {_MAX_CHARS} are taken"
    if len(parts) > _MAX_DEPTH:
        return f"it is more than {_MAX_DEPTH} folders deep"
    if path.startswith("/") or ".." in parts:
        return "it leads out of the folder"
    if any(part in ("", ".") or part != part.strip() or part.endswith(".") for part in parts):
        return "a part of it is empty, or begins or ends with a space or a dot"
    if any(char in _UNFIT or unicodedata.category(char).startswith("C") for char in path.replace("\u200c", "")):
        return "it holds a character that no file name has everywhere"
    return None


def _shown(path: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in path[:100]) or "(none)"
