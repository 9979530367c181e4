"""The kinds of sources, one module each, by the scheme of `source`."""
