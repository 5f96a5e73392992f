"""How things look on a terminal, and where there is none."""
