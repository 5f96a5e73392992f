"""Entry of the converting child: `python -m simorgh_trainer.converting WORK_DIR`."""

import sys

from simorgh_shared.child.program import run_child
from simorgh_trainer.converting.run import run_conversion

if __name__ == "__main__":
    sys.exit(run_child("simorgh_trainer.converting", run_conversion))
