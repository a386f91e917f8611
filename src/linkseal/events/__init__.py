"""What happens to hits: the collector stores them as events."""
