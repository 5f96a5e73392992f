"""What lies below `added` belongs into a copy of the tree: nothing of it is collected here."""

collect_ignore_glob = ["added/*"]
