"""Accounts of uploads, as a reconciliation finds them."""

from collections.abc import Iterable, Iterator

from analytics.reconciliation import Account, Reconciliation, Settled
from ingest.upload import Upload
from workflow.outcome import Outcome


class FakeReconciliation(Reconciliation):
    """A reconciliation that found these accounts."""

    def __init__(self, *accounts: Account) -> None:
        object.__setattr__(self, "_accounts", accounts)  # it is frozen

    _accounts: tuple[Account, ...]

    def summarized(self) -> Iterator[Account | Settled]:
        for each in self._accounts:
            if each.outcome in (None, Outcome.FAILED) or each.outcomes > 1:
                yield each
            else:
                yield Settled(each.is_listed, each.outcome, 1)

    def settled(self, uploads: Iterable[Upload]) -> set[str]:
        found = {
            each.upload.upload_id for each in self._accounts if each.outcome not in (None, Outcome.FAILED)
        }
        return found & {upload.upload_id for upload in uploads}
