"""Entry of the importing child: `python -m simorgh_trainer.importing WORK_DIR`."""

import sys

from simorgh_shared.child.program import run_child
from simorgh_trainer.importing.run import run_import

if __name__ == "__main__":
    sys.exit(run_child("simorgh_trainer.importing", run_import))
