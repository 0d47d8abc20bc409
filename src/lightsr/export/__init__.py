"""Networks for other runtimes, each checked against its source."""
