"""The targets of a release: one module per scheme of `to`."""
