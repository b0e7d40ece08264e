"""How long a picture takes, beside the floor of its arithmetic."""
