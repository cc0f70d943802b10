"""Every SQL text of Scones: the saved queries, the views, and internal queries."""
