"""What the worker does for each kind of job. A new kind is a module here and a line in `kinds`."""
