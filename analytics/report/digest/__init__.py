"""Every Monday on AWS: last week's page into the results bucket, and its verdict by mail and chat."""
