"""Errors that a user may meet: a stable code, a status and parameters; the sentence lives in the catalogue.

AppError
├── InvalidInputError   400  what was sent cannot be used
├── UnauthenticatedError 401 who is asking is not known
├── ForbiddenError      403  who is asking may not
├── NotFoundError       404  no such thing in this project
├── ConflictError       409  the thing is in a state that does not allow it
├── TooLargeError       413  more bytes than the limit
├── UnsupportedError    415  a type that is not taken
├── LimitedError        429  too many or too much for now
└── UnavailableError    503  a part that is needed does not answer
"""

from collections.abc import Mapping, Sequence

from simorgh_shared.domain.messages import sentence

Param = str | int | float | bool | None


class AppError(Exception):
    """An expected failure. `code` is stable and public; `params` fill the sentence of the catalogue."""

    status = 500

    def __init__(
        self,
        code: str,
        *,
        details: Sequence[str] = (),
        data: Mapping[str, object] | None = None,
        retry_after_s: int | None = None,
        **params: Param,
    ) -> None:
        if retry_after_s is not None:
            params["retry_after_s"] = retry_after_s
        super().__init__(sentence(code, params))
        self.code = code
        self.params = params
        self.details = list(details)
        """Several errors of one input, each a sentence (`Line 7: …`)."""
        self.data = dict(data or {})
        """Further members of the answer, such as `valid_lines`."""
        self.retry_after_s = retry_after_s

    def message(self, language: str = "en") -> str:
        """The sentence for the user in a language of the catalogue; English where it has none."""
        return sentence(self.code, self.params, language)


class InvalidInputError(AppError):
    """What was sent cannot be used."""

    status = 400


class UnauthenticatedError(AppError):
    """Who is asking is not known."""

    status = 401


class ForbiddenError(AppError):
    """Who is asking may not do this."""

    status = 403


class NotFoundError(AppError):
    """No such thing in this project."""

    status = 404


class ConflictError(AppError):
    """The thing is in a state that does not allow it."""

    status = 409


class TooLargeError(AppError):
    """More bytes than the limit."""

    status = 413


class UnsupportedError(AppError):
    """A type that is not taken."""

    status = 415


class LimitedError(AppError):
    """Too many or too much for now; `retry_after_s` says when to try again."""

    status = 429


class UnavailableError(AppError):
    """A part that is needed does not answer now."""

    status = 503
