"""Figures of single chapters, drawn from what their cells computed, and the website's first."""
