"""What an autoencoder loses: table 1 of the paper."""
