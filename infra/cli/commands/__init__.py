"""The commands. Each parses what was typed, calls functions of the other packages, and prints the answer.

Commands import what they call when they are called: `scones --help` needs neither pandas nor boto3.
"""
