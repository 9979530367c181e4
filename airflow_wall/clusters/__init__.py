"""The clusters that jobs run on: one module per kind, and a table of all kinds."""
