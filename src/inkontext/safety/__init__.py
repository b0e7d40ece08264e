"""What comes in is not trusted, what goes out says where it came from."""
