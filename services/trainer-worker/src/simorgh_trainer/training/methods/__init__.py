"""One module per training method: how its rows become samples."""
