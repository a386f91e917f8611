"""CDNs as services of others: the networks they publish, and what their APIs set up."""
