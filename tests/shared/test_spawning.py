"""What a child can read of a parent that holds credentials."""

import ctypes
import os

import pytest

from simorgh_shared.spawning import forbid_inspection

_NOBODY = 65_534
_PR_SET_DUMPABLE = 4


def _a_child_reads_its_parent(*, forbids: bool) -> bool:
    """A process that is not root, and its child: whether the child reads the parent's environment."""
    reads, writes = os.pipe()
    parent = os.fork()
    if parent == 0:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
        # A change of user clears the flag too: set it again, as it is of a program that begins.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        if forbids:
            forbid_inspection()
        told = os.getpid()
        child = os.fork()
        if child == 0:
            try:
                with open(f"/proc/{told}/environ", "rb") as file:
                    os.write(writes, b"y" if file.read() else b"n")
            except OSError:
                os.write(writes, b"n")
            os._exit(0)
        os.waitpid(child, 0)
        os._exit(0)
    os.waitpid(parent, 0)
    os.close(writes)
    with os.fdopen(reads, "rb") as answer:
        return answer.read() == b"y"


@pytest.mark.parametrize("forbids", [True, False])
def test_a_child_reads_no_environment_of_its_parent(forbids: bool) -> None:
    """Security lines, section 8: passwords of the database stay the parent's; the control reads them."""
    assert _a_child_reads_its_parent(forbids=forbids) is not forbids
