"""The Merkle log's mathematics: tree, proofs, checkpoints, tiles, offline verification."""
