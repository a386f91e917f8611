"""Build everything and supervise it: the only place that does."""
