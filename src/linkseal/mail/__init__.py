"""Instrument a message: seal its links, add its pixel, touch nothing else. Pure."""
