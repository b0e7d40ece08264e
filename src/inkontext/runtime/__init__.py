"""Makes a pipeline fast, small or watched, from outside; the networks stay plain."""
