"""The models that an engine child holds, by memory."""

from dataclasses import dataclass

import pytest

from simorgh_voice.engine.models import Models


@dataclass(frozen=True)
class Sized:
    memory_bytes: int


class TestModels:
    """R-VOICE-1: models are loaded at first use and let go by memory, never one in use."""

    def use(self, models: Models, key: str, num_bytes: int = 40) -> Sized:
        with models.lent(key, num_bytes, lambda: Sized(num_bytes)) as model:
            return model

    @pytest.fixture
    def told(self) -> list[tuple[int, int]]:
        return []

    @pytest.fixture
    def models(self, told: list[tuple[int, int]]) -> Models:
        return Models(100, lambda *what: told.append(what))

    def test_a_model_is_loaded_once(self, models: Models, told: list[tuple[int, int]]) -> None:
        assert self.use(models, "a") is self.use(models, "a")
        assert told == [(1, 40)]

    def test_the_least_recently_used_goes_first(self, models: Models, told: list[tuple[int, int]]) -> None:
        for key in ("a", "b", "a", "c"):
            self.use(models, key)
        assert models.keys == ["a", "c"]
        assert told == [(1, 40), (2, 80), (1, 40), (2, 80)]

    def test_one_in_use_stays(self, models: Models) -> None:
        with models.lent("a", 40, lambda: Sized(40)):
            self.use(models, "b")
            self.use(models, "c")
            assert models.keys == ["a", "c"]

    def test_one_that_is_larger_than_its_files_pushes_others_out(self, models: Models) -> None:
        self.use(models, "a")
        with models.lent("b", 10, lambda: Sized(90)):
            assert models.keys == ["b"]

    def test_one_larger_than_the_budget_is_used_and_kept_alone(self, models: Models) -> None:
        self.use(models, "a")
        self.use(models, "huge", 500)
        assert models.keys == ["huge"]
        self.use(models, "a")
        assert models.keys == ["a"]

    def test_a_model_that_cannot_be_loaded_leaves_nothing(self, models: Models) -> None:
        def fail() -> Sized:
            raise OSError("no such file")

        with pytest.raises(OSError, match="no such file"), models.lent("a", 40, fail):
            pass
        assert models.keys == []
