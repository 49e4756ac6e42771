"""Configuration files -> typed settings, each error with its place in the file."""
