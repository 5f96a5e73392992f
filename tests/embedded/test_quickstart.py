"""The quick start's display and parameters. What it calls is tried in test_cli_*.py."""

from simorgh_cli.quickstart import journey
from simorgh_cli.terminal.progress import Figures, PlainDisplay
from simorgh_shared.datasets.sample import write_sample
from simorgh_shared.schemas.training import TrainSpec


class TestPlainDisplay:
    def test_lines_carry_the_figures_and_no_control_characters(self) -> None:
        said: list[str] = []
        figures = Figures()
        with PlainDisplay(said.append, every_s=0) as display:
            values = {"loss": 3.25, "eval_loss": 3.5, "eval_loss_per_char": 2.5, "tokens_per_s": 1234.5}
            figures.take({"step": 10, "total_steps": 40, "values": values | {"eta_s": 75}})
            display.show(figures)
        assert said == ["step 10 of 40  loss 3.250/token  held-out 3.500/token  tokens/s 1,234  left 1:15"]
        assert said[0].isprintable()

    def test_lines_are_seconds_apart(self) -> None:
        said: list[str] = []
        with PlainDisplay(said.append, every_s=3600) as display:
            for step in range(5):
                figures = Figures(step=step)
                display.show(figures)
        assert len(said) == 1


class TestFigures:
    def test_lowest_held_out_loss_is_kept_when_it_rises_again(self) -> None:
        figures = Figures()
        for per_char in (2.6, 2.4, 2.5):
            figures.take({"step": 1, "values": {"eval_loss_per_char": per_char}})
        assert figures.lowest_loss_per_char == 2.4


class TestJourney:
    def test_training_parameters_are_ones_that_the_platform_takes(self) -> None:
        assert TrainSpec.model_validate(journey.TRAINING | {"dataset": "ds_1"}).preset is not None

    def test_trigram_of_the_sample_is_a_baseline_of_about_two_and_a_half_nats(self, tmp_path) -> None:
        """R-DATA-10."""
        data = write_sample(tmp_path)
        assert len(journey.read_rows(data.train_path)) == data.num_train_rows > 1000
        assert 2.2 < journey.trigram_loss(data) < 2.8
