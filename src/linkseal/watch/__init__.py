"""The watch: live branded domains looked at again and again, and what follows from it."""
