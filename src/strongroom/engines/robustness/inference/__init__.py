"""What a model gives away beyond its answers: features of people, and inputs of its classes."""
