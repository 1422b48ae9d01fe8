"""Load models, generate answers, embed them and compare them; knows no network and no vote.

``engine`` asks a model, ``embedding`` and ``equivalence`` compare what it said, ``packaged``
prepares the models that need no download. Importing the package is cheap: torch and transformers
are imported when something is loaded.
"""
