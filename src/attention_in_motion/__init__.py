"""Attention in Motion: models and data for the executable paper of the same name."""
