"""Every SQL text of the project: the saved questions, the views, and the audit's."""
