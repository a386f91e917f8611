"""The server that answers recipients: HTTP, TLS and SNI, clicks and opens, the journal's writer."""
