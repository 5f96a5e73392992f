"""Public ids."""

from simorgh_shared.domain.ids import is_id, new_id


class TestNewId:
    def test_ids_of_one_process_sort_in_the_order_in_which_they_were_made(self) -> None:
        made = [new_id("job") for _ in range(5_000)]
        assert made == sorted(made)
        assert len(set(made)) == len(made)

    def test_an_id_is_known_by_its_prefix_and_form(self) -> None:
        made = new_id("job")
        assert is_id(made, "job")
        assert not is_id(made, "model")
        assert not is_id(made[:-1], "job")
