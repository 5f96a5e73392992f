"""What is known of a dataset version, for people: a summary, and a page that stands by itself."""
