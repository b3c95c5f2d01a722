"""Language models: tokens from files, windows of them as examples, and small models."""
