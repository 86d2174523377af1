"""The main job on real data, start to end, made of ordinary operations."""
