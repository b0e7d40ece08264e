"""Text to image: the paper's five questions."""
