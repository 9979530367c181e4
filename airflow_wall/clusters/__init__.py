"""Where jobs run: one module per kind of cluster, and the table of them."""
