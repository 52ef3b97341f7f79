"""The paper's hyperparameter sweep over MNIST."""
