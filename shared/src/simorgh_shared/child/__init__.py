"""What every child process of a worker does alike: it tells events, reads what is wanted, and dies with its parent."""
