"""The paper's evaluation at its own scale, in virtual time: the true cores on a model of its cluster."""
