"""The challenger: a second model that sees the same images after the decision, and decides nothing."""
