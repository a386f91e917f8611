"""Real parts for tests and the demo: free ports, a mailbox, fakes that misbehave on request."""
