"""From archives to prepared clips: decoded audio, labels, folds and silence."""
