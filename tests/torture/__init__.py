"""The torture: images go in while everything that can break does, and in the end every one is counted once.

Read `run.py` first: the acts, one after the other. `plan.py` decides what happens to which image, `faults.py`
says what each fault is and where it may lead, `proxy.py` brings them about between the Lambdas and what they
talk to, `course.py` is how things are done, and `verdict.py` counts what is lost, doubled or wrong. In
`corpus.py` are odd images, for the torture and for the tests.
"""
