"""Entry of the statistics child: `python -m simorgh_trainer.statistics WORK_DIR`."""

import os
import sys

from simorgh_shared.child.program import run_child
from simorgh_trainer.statistics.run import run_statistics

_NICENESS = 5  # uploads and chats go before; at 15 a chat that never rests left it 3 % of a core

if __name__ == "__main__":
    os.nice(_NICENESS)
    sys.exit(run_child("simorgh_trainer.statistics", run_statistics))
