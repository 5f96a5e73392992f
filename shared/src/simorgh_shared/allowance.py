"""What of the machine this process may use: a container with limits is told of the whole machine by the system."""

import os

from simorgh_shared.monitoring import control_group
from simorgh_shared.monitoring.control_group import GroupReading


def memory_bytes(group: GroupReading | None = None) -> int:
    """Of the machine, or of the control group (our own, where none is given) where that is less."""
    group = group or control_group.read()
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return machine if group is None or group.memory_bytes is None else min(machine, group.memory_bytes)


def cores(group: GroupReading | None = None) -> int:
    """By affinity and by the control group's quota, at least one."""
    group = group or control_group.read()
    allowed = len(os.sched_getaffinity(0))
    return allowed if group is None or group.cpus is None else max(1, min(allowed, int(group.cpus)))
