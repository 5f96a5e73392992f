"""The client of the public API: of the quick start and of the command line alike."""
