"""One verb each: a typed request in, a typed result or event stream out. Nothing here prints."""
