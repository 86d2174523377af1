"""What a person can do after a bad report: train again in another way, or say less, and compare."""
