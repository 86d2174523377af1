"""Tables of made-up people that resemble the real ones in counts."""
