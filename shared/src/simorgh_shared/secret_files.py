"""Secrets that come as files: `SIMORGH_NAME_FILE` for a secret setting `name`, as container engines mount them.

The variable itself goes first where both are set.
"""

import os
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from simorgh_shared.domain.errors import InvalidInputError


def is_secret(annotation: Any) -> bool:
    """Whether a setting of this type holds a secret, or several."""
    return annotation is SecretStr or any(is_secret(part) for part in get_args(annotation))


class SecretFiles(PydanticBaseSettingsSource):
    """The secrets that files hold, without the line break at their end.

    Raises: InvalidInputError for a file that is named and cannot be read.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The file's text; None where the setting is no secret or no file is named."""
        name = f"{self.config.get('env_prefix', '')}{field_name}_file".upper()
        path = os.environ.get(name)
        if not path or not is_secret(field.annotation):
            return None, field_name, False
        try:
            return Path(path).read_text("utf-8").strip(), field_name, False
        except OSError as error:
            raise InvalidInputError("secret_file_unreadable", name=name, path=path, reason=error.strerror) from error

    def __call__(self) -> dict[str, Any]:
        """The settings that files give."""
        given = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in given.items() if value is not None}
