"""The weekly report: from what the saved queries return to a page, a JSON file and a digest."""
