"""Entry of the converting child: `python -m simorgh_voice.converting WORK_DIR`."""

import sys

from simorgh_shared.child.program import run_child
from simorgh_voice.converting.run import run_conversion

if __name__ == "__main__":
    sys.exit(run_child("simorgh_voice.converting", run_conversion))
