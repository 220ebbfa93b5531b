"""The memory: stores, the lexical index beside the vectors, and retrieval."""
