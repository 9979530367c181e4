"""How the lake keeps its own state: small documents that several processes change safely."""
