"""DPO from Scratch: the small, tested package behind the book.

The modules, from the ground up: world, exact, logprobs, losses; data; tokens, models, ratings; runs, settings; sampling,
training, checking; evaluation, records; rlhf, plots, widgets; cli. A module imports only from floors below its own.
"""

__version__ = "0.1.0"
