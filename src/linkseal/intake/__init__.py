"""How mail enters: the SMTP proxy."""
