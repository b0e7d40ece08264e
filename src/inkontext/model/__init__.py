"""The networks and nothing else; each file is one figure of the paper."""
