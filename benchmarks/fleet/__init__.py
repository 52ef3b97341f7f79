"""A day of bursty load: what a fleet that follows it costs, beside one that knows it."""
