"""KontextBench: the published layout, five categories, resumable and in shards."""
