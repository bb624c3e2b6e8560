"""Metrics of answers and of rankings, intervals, tests, and the comparison of arms.

Sees records and numbers only: no model, no store, no file, no configuration. Every score can thus be checked by hand.
"""
