"""A page for developers: what was called, what was answered, and why a signature is wrong."""
