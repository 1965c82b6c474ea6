"""Stands in for lm_eval."""
