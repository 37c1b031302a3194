"""From a plan and the clips table to fold models, OOF and test logits."""
