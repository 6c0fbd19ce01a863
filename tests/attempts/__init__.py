"""Attempts as readers make them: RIGHT and WRONG ones of every exercise, a module a chapter."""
