"""What objects are made of and how a node keeps them."""
