"""Blending the models' out-of-fold predictions into one, and what that blend is honestly worth."""
