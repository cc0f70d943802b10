"""The report's cards: what is on them stays readable whatever a key is."""

from analytics.report.cards.operations import reasons_card
from analytics.report.numbers import Reason
from workflow.outcome import Outcome


def test_a_key_of_a_thousand_characters_takes_a_few_lines_of_a_card():
    reason = Reason("corrupt", 2, 1, "a/" * 510 + "z.png", None)
    card = reasons_card("rejects", "Rejected", "None.", [reason], Outcome.REJECTED)
    assert card.table
    assert len(card.table.rows[0][-1]) == 120
