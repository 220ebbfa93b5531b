"""Documents in, passages and vectors out."""
