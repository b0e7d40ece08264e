"""Is it still the same person or thing?"""
