"""Numbers about probabilities and decisions, with their intervals; knows no model and no file."""
