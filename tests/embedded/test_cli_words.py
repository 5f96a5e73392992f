"""What the API says, in the words of the command line (R-API-4)."""

import pytest

from simorgh_cli.api.errors import in_our_words
from simorgh_shared.domain.messages import codes, sentence
from tests.embedded.program import Simorgh

_NUMBERS = {"per_s": 1.0, "limit": 2.0, "days": 3.0}
_OF_THE_API = {"path": "/api/things/a-b", "method": "PUT", "allowed": "GET"}
_ABOUT_PATHS_OF_THE_API = ("not_found_route", "unknown_query", "method_not_allowed")


def sentences() -> list[str]:
    """The codes of what the command line can meet: it never asks for tickets, which are a browser's."""
    return sorted(code for code in codes() if not code.startswith("ticket_"))


def filled(code: str) -> str:
    """The sentence as the API says it, with something for each of its parameters."""
    params: dict[str, object] = dict(_OF_THE_API) if code in _ABOUT_PATHS_OF_THE_API else {}
    while True:
        try:
            return sentence(code, params)
        except KeyError as missing:
            name = missing.args[0]
            params[name] = _NUMBERS.get(name, f"some-{name}")


class TestSentences:
    def test_none_says_paths_of_the_api(self) -> None:
        """R-API-4: systematically, of the whole catalogue; so a new sentence needs its translation."""
        told = {code: in_our_words(code, filled(code)) for code in sentences()}
        assert {code: said for code, said in told.items() if "/api/" in said or "/v1/" in said} == {}

    @pytest.mark.parametrize(
        ("code", "says"),
        [
            ("dataset_not_found", "See those that there are with: simorgh datasets"),
            ("model_not_found", "See those that there are with: simorgh models"),
            ("no_model_yet", "Train one with: simorgh train start --watch"),
            ("token_expired", "Sign in again with: simorgh login"),
            ("statistics_wait", "simorgh datasets show some-dataset_id"),
            ("upload_not_found", "Run the same simorgh datasets upload again."),
        ],
    )
    def test_what_to_do_is_a_command(self, code: str, says: str) -> None:
        """R-API-4."""
        assert says in in_our_words(code, filled(code))

    def test_what_the_real_api_refuses_is_told_with_commands(self, user: Simorgh) -> None:
        """R-API-4: also where only the reason in a sentence names a path."""
        assert user.refuse("models", "show", "none").endswith("with: simorgh models\n")
        assert user.refuse("datasets", "show", "none").endswith("with: simorgh datasets\n")
        file = user.home / "choices.jsonl"
        file.write_text('{"prompt": "سلام", "chosen": "درود", "rejected": "نه"}\n', encoding="utf-8")
        dataset_id = user.ask("datasets", "upload", str(file))["id"]
        told = user.refuse("train", "start", "--dataset", dataset_id, "--set", "method=pretrain")
        assert f"(simorgh datasets convert {dataset_id})" in told

    def test_the_help_of_a_start_names_methods_and_parameters(self, stranger: Simorgh) -> None:
        """R-API-4: one begins without reading the API's description."""
        told = stranger.run("train", "start", "--help").stdout
        names = "pretrain sft lora epochs max_steps max_minutes batch_size learning_rate sequence_length normalise keep"
        assert [name for name in (*names.split(), "lora_rank", "docs/tuning.md", "/docs") if name not in told] == []
