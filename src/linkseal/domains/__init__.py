"""Branded domains and which base a link gets. The decisions are pure."""
