"""The data-post gateway: a reverse proxy that makes a legacy lead endpoint conform to Data Post."""

__version__ = "0.1.0"
