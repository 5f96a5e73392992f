"""The statistics child: pure, started as `python -m simorgh_trainer.statistics WORK_DIR`."""
