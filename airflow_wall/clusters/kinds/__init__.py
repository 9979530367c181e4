"""The kinds of clusters: one module per `type`."""
