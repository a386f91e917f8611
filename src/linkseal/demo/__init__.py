"""The demo: the whole service on loopback, with newsletters, a mailbox and a recipient."""
