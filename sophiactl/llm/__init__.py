"""Language models: one protocol, the providers behind it, and the chain that falls back between them."""
