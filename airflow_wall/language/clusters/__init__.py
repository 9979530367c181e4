"""The keys of each kind of cluster: one module per `type`."""
