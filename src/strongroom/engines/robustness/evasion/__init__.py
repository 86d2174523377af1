"""Evasion: rows changed a little, so that a model answers them wrongly; and how far that needs.

A `hunt` holds the rows under attack and the nearest wrong answer found for each. Attacks drive it:
by labels alone (`hopskipjump`, `boundary`, `trimming`), by scores (`square`, `differences`,
`genetic`), by a model of the attacker's own (`transfer`), by gradients (`gradients`, `layers`).
`linear` and `trees` know the exact distance, `smoothing` bounds that of a smoothed model; `numbers`
makes classes of models that answer with numbers; `assessing` makes tests of all this.
"""
