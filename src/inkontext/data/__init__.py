"""Examples to learn from: pictures, instructions, targets, and how they become batches."""
