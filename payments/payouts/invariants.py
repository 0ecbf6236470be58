"""What must hold of money out at every instant, in SQL: each query gives the rows that break it, so none is good."""

from typing import Final

QUERIES: Final = {
    "the ledger owes every transfer that is promised and not ended, and paid those that arrived": """
        SELECT coalesce(t.out_bill_no, l.no) FROM (
            SELECT out_bill_no, CASE WHEN state = 'success' THEN 0 ELSE amount_fen END AS owed_fen, amount_fen AS spent_fen
            FROM transfer WHERE state NOT IN ('to_approve', 'fail', 'cancelled', 'refused')
        ) t FULL JOIN (
            SELECT split_part(cause, ':', 2) AS no,
                sum(CASE 'payouts_payable' WHEN credit THEN amount_fen WHEN debit THEN -amount_fen END) AS owed_fen,
                sum(CASE 'payouts' WHEN debit THEN amount_fen WHEN credit THEN -amount_fen ELSE 0 END) AS spent_fen
            FROM posting WHERE 'payouts_payable' IN (debit, credit) GROUP BY 1
        ) l ON l.no = t.out_bill_no
        WHERE (coalesce(t.owed_fen, 0), coalesce(t.spent_fen, 0)) <> (coalesce(l.owed_fen, 0), coalesce(l.spent_fen, 0))""",
    "what a user was promised today is their transfers of today": """
        SELECT d.openid FROM transfer_day d LEFT JOIN (
            SELECT appid, openid, (requested_at AT TIME ZONE 'Asia/Shanghai')::date AS day, sum(amount_fen) AS fen
            FROM transfer WHERE state NOT IN ('fail', 'cancelled', 'refused') GROUP BY 1, 2, 3
        ) t USING (appid, openid, day) WHERE d.promised_fen <> coalesce(t.fen, 0)""",
    "a payment's shares are what it claims": """
        SELECT p.out_trade_no FROM payment p LEFT JOIN (
            SELECT s.payment_id, sum(part.amount_fen - coalesce(b.fen, 0)) AS fen
            FROM share_part part JOIN share s ON s.id = part.share_id LEFT JOIN (
                SELECT part_id, sum(amount_fen) AS fen FROM share_return WHERE state = 'succeeded' GROUP BY 1
            ) b ON b.part_id = part.id WHERE part.state <> 'closed' GROUP BY 1
        ) s ON s.payment_id = p.id WHERE p.shared_fen <> coalesce(s.fen, 0)""",
    "a part's returns are what it claims": """
        SELECT s.out_order_no FROM share_part part JOIN share s ON s.id = part.share_id LEFT JOIN (
            SELECT part_id, sum(amount_fen) AS fen FROM share_return WHERE state NOT IN ('failed', 'refused') GROUP BY 1
        ) b ON b.part_id = part.id WHERE part.returned_fen <> coalesce(b.fen, 0)""",
    "what is shared and what was sent back fits into what was received": """
        SELECT p.out_trade_no FROM payment p LEFT JOIN (
            SELECT payment_id, sum(amount_fen) AS fen FROM refund
            WHERE state IN ('processing', 'succeeded', 'abnormal') AND origin <> 'portal' GROUP BY 1
        ) r ON r.payment_id = p.id WHERE p.shared_fen > 0 AND p.shared_fen + coalesce(r.fen, 0) > p.received_fen""",
    "the ledger's shares are what others got, less what came back": """
        SELECT coalesce(s.payable, l.payable) FROM (
            SELECT p.payable, sum(part.amount_fen - coalesce(b.fen, 0)) AS fen
            FROM share_part part JOIN share s ON s.id = part.share_id JOIN payment p ON p.id = s.payment_id LEFT JOIN (
                SELECT part_id, sum(amount_fen) AS fen FROM share_return WHERE state = 'succeeded' GROUP BY 1
            ) b ON b.part_id = part.id WHERE part.state = 'success' GROUP BY 1
        ) s FULL JOIN (
            SELECT payable, sum(CASE debit WHEN 'shared' THEN amount_fen ELSE -amount_fen END) AS fen
            FROM posting WHERE 'shared' IN (debit, credit) GROUP BY 1
        ) l USING (payable) WHERE coalesce(s.fen, 0) <> coalesce(l.fen, 0)""",
}
