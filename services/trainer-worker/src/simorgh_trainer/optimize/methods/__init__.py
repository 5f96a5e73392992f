"""One module for each method: it writes the new folder and says how it was compared with what it was made from."""
