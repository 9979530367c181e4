"""Tables of the lake: atomic commits, one slice at a time."""
