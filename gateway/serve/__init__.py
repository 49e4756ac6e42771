"""Composition: the configuration becomes a running process."""
