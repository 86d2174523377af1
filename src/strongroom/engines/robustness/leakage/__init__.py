"""What a model's files and its server give away: training rows, secrets, words in answers."""
