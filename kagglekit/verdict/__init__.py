"""The verdict on the validation: whether CV scores can be trusted to say what a leaderboard will show."""
