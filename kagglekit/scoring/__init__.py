"""The task of a competition, its metric, and the CV score that forecasts the leaderboard."""
