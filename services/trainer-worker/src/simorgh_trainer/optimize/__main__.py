"""Entry of the optimising child: `python -m simorgh_trainer.optimize WORK_DIR`."""

import sys

from simorgh_shared.child.program import run_child
from simorgh_trainer.optimize.run import run_optimization

if __name__ == "__main__":
    sys.exit(run_child("simorgh_trainer.optimize", run_optimization))
