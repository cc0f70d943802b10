"""The week in a few lines for chat or mail: from the report, and every Monday on AWS."""
