"""kagglekit: from a Kaggle audio competition's archives to a submission you can trust."""

__version__ = "0.1.0"
