"""Fault injection: ingest images while components fail, and check that each one is counted once.

`run.py` has the acts in their order. `plan.py` decides which fault happens to which image, `faults.py` lists
the faults and the outcomes that they may lead to, `proxy.py` injects them between the Lambdas and S3 or the
endpoint, `actions.py` has the single steps, and `verdict.py` counts what is lost, doubled or wrong.
`tests/corpus.py` has odd images, for the fault injection and for the tests.
`scenarios.py` has what is tried beside the default run.
"""

import scones

scones.put_on_path()
