"""Certificates: the local CA of a machine without one, and configured files."""
