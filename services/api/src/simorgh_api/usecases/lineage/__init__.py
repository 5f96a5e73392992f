"""Where a model comes from and what was made of it, read from what jobs and uploads wrote down (R-MODEL-2)."""
