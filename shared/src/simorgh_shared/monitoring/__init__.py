"""What a process measures of itself and of the machine that it is on (R-OPS-3)."""
