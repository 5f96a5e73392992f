"""What pages for people are made of: HTML that escapes, one look, and a frame that lets nothing else in."""
