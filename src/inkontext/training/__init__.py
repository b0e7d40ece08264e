"""The recipe: one file a stage, one loop, one configuration."""
