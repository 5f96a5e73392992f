"""The training child: pure torch, started as `python -m simorgh_trainer.training WORK_DIR`.

It knows a work folder and nothing else: no settings, no database, no queue, no object storage.
"""
