"""The client of Athena on AWS, and the interface that it shares with the local one."""
