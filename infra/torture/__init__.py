"""The torture: images go in while everything that can break does, and in the end every one is counted once.

Read `plan.py` first: what happens to which image. `faults.py` says what each fault is and where it may lead,
`proxy.py` brings them about between the Lambdas and what they talk to, `run.py` is the course of events and
`verdict.py` counts what is lost, doubled or wrong.
"""
