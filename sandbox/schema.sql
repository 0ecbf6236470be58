-- Times are seconds since 1970 in business time; money is whole fen.
CREATE TABLE IF NOT EXISTS knobs (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY, label TEXT NOT NULL UNIQUE, openid TEXT NOT NULL UNIQUE, unionid TEXT, phone TEXT,
    country_code TEXT NOT NULL DEFAULT '86', session_key TEXT, blocked INTEGER NOT NULL DEFAULT 0,
    account_closed INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS codes (
    code TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('login', 'phone', 'payment')),
    openid TEXT NOT NULL REFERENCES users (openid), created_at REAL NOT NULL, used_at REAL
);

CREATE TABLE IF NOT EXISTS tokens (
    id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, kind TEXT NOT NULL CHECK (kind IN ('stable', 'legacy')),
    issued_at REAL NOT NULL, expires_at REAL NOT NULL, dead_at REAL, forced INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS orders (
    out_trade_no TEXT PRIMARY KEY, trade_type TEXT NOT NULL, body TEXT NOT NULL, description TEXT NOT NULL,
    attach TEXT, notify_url TEXT NOT NULL, total INTEGER NOT NULL CHECK (total > 0), openid TEXT,
    state TEXT NOT NULL CHECK (state IN ('NOTPAY', 'SUCCESS', 'REFUND', 'CLOSED', 'USERPAYING', 'PAYERROR', 'REVOKED')),
    created_at REAL NOT NULL, expires_at REAL NOT NULL, closes_at REAL NOT NULL, cancelled_at REAL, closed_at REAL,
    transaction_id TEXT UNIQUE, paid_at REAL, payer TEXT, bank_type TEXT, coupon INTEGER NOT NULL DEFAULT 0,
    coupon_kind TEXT NOT NULL DEFAULT 'CASH' CHECK (coupon_kind IN ('CASH', 'NOCASH')),
    fee INTEGER NOT NULL DEFAULT 0, fee_rate INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_by_time ON orders (created_at);
CREATE INDEX IF NOT EXISTS orders_by_payment ON orders (paid_at) WHERE paid_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS prepays (
    prepay_id TEXT PRIMARY KEY, out_trade_no TEXT NOT NULL REFERENCES orders (out_trade_no), code TEXT,
    created_at REAL NOT NULL, valid_until REAL NOT NULL, replaced INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS prepays_by_order ON prepays (out_trade_no, created_at);

CREATE TABLE IF NOT EXISTS refunds (
    out_refund_no TEXT PRIMARY KEY, refund_id TEXT NOT NULL UNIQUE,
    out_trade_no TEXT NOT NULL REFERENCES orders (out_trade_no), body TEXT NOT NULL, notify_url TEXT, reason TEXT,
    amount INTEGER NOT NULL CHECK (amount > 0), coupon INTEGER NOT NULL DEFAULT 0, funds_account TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('PROCESSING', 'SUCCESS', 'ABNORMAL', 'CLOSED')),
    created_at REAL NOT NULL, settle_at REAL, done_at REAL, fee INTEGER NOT NULL DEFAULT 0,
    origin TEXT NOT NULL DEFAULT 'API' CHECK (origin IN ('API', 'PORTAL', 'REVERSE')),
    channel TEXT NOT NULL DEFAULT 'ORIGINAL', received_by TEXT
);
CREATE INDEX IF NOT EXISTS refunds_by_time ON refunds (created_at);
CREATE INDEX IF NOT EXISTS refunds_by_order ON refunds (out_trade_no);
CREATE INDEX IF NOT EXISTS refunds_to_settle ON refunds (settle_at) WHERE settle_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS notices (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, url TEXT NOT NULL, event_type TEXT NOT NULL,
    summary TEXT NOT NULL, plaintext TEXT NOT NULL, created_at REAL NOT NULL, next_at REAL, copies INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'held', 'given_up'))
);
CREATE INDEX IF NOT EXISTS notices_due ON notices (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY, notice_id TEXT NOT NULL REFERENCES notices (id), at REAL NOT NULL, variant TEXT,
    status INTEGER, answer TEXT, error TEXT, took_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS attempts_by_notice ON attempts (notice_id);

CREATE TABLE IF NOT EXISTS combinations (
    combine_out_trade_no TEXT PRIMARY KEY, trade_type TEXT NOT NULL, body TEXT NOT NULL, openid TEXT,
    notify_url TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL NOT NULL, cancelled_at REAL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS combined_orders (
    out_trade_no TEXT PRIMARY KEY REFERENCES orders (out_trade_no),
    combine_out_trade_no TEXT NOT NULL REFERENCES combinations (combine_out_trade_no), place INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS combined_orders_by_combination ON combined_orders (combine_out_trade_no);

CREATE TABLE IF NOT EXISTS combined_prepays (
    prepay_id TEXT PRIMARY KEY,
    combine_out_trade_no TEXT NOT NULL REFERENCES combinations (combine_out_trade_no), code TEXT,
    created_at REAL NOT NULL, valid_until REAL NOT NULL, replaced INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS transfers (
    out_bill_no TEXT PRIMARY KEY, transfer_bill_no TEXT NOT NULL UNIQUE, body TEXT NOT NULL, openid TEXT NOT NULL,
    user_name TEXT, amount INTEGER NOT NULL CHECK (amount > 0), remark TEXT NOT NULL, notify_url TEXT,
    state TEXT NOT NULL CHECK (state IN ('ACCEPTED', 'PROCESSING', 'WAIT_USER_CONFIRM', 'TRANSFERING', 'SUCCESS',
                                         'FAIL', 'CANCELING', 'CANCELLED')),
    fail_reason TEXT, package_info TEXT NOT NULL UNIQUE, needs_user INTEGER NOT NULL DEFAULT 1, declined_at REAL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL, next_at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS transfers_by_time ON transfers (created_at);
CREATE INDEX IF NOT EXISTS transfers_due ON transfers (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS share_receivers (
    sub_mchid TEXT NOT NULL, type TEXT NOT NULL, account TEXT NOT NULL, name TEXT, relation_type TEXT NOT NULL,
    custom_relation TEXT, PRIMARY KEY (sub_mchid, type, account)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS share_freezes (
    out_trade_no TEXT PRIMARY KEY REFERENCES orders (out_trade_no), unfreezes_at REAL NOT NULL, unfrozen_at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS share_freezes_due ON share_freezes (unfreezes_at) WHERE unfrozen_at IS NULL;

CREATE TABLE IF NOT EXISTS share_orders (
    out_order_no TEXT PRIMARY KEY, order_id TEXT NOT NULL UNIQUE,
    out_trade_no TEXT NOT NULL REFERENCES orders (out_trade_no), body TEXT NOT NULL, shares INTEGER NOT NULL,
    unfreezes INTEGER NOT NULL, description TEXT, state TEXT NOT NULL CHECK (state IN ('PROCESSING', 'FINISHED')),
    created_at REAL NOT NULL, next_at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS share_orders_by_order ON share_orders (out_trade_no);
CREATE INDEX IF NOT EXISTS share_orders_due ON share_orders (next_at) WHERE next_at IS NOT NULL;

-- What one receiver gets; "own" is what comes free for the merchant again.
CREATE TABLE IF NOT EXISTS shares (
    detail_id TEXT PRIMARY KEY, out_order_no TEXT NOT NULL REFERENCES share_orders (out_order_no),
    place INTEGER NOT NULL, own INTEGER NOT NULL, type TEXT NOT NULL, account TEXT NOT NULL, amount INTEGER NOT NULL,
    description TEXT NOT NULL, result TEXT NOT NULL CHECK (result IN ('PENDING', 'SUCCESS', 'CLOSED')),
    fail_reason TEXT, created_at REAL NOT NULL, finished_at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS shares_by_order ON shares (out_order_no, place);

CREATE TABLE IF NOT EXISTS share_returns (
    out_return_no TEXT PRIMARY KEY, return_id TEXT NOT NULL UNIQUE,
    out_order_no TEXT NOT NULL REFERENCES share_orders (out_order_no), body TEXT NOT NULL, return_mchid TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0), description TEXT NOT NULL,
    result TEXT NOT NULL CHECK (result IN ('PROCESSING', 'SUCCESS', 'FAILED')), fail_reason TEXT,
    created_at REAL NOT NULL, next_at REAL, finished_at REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS share_returns_by_order ON share_returns (out_order_no);
CREATE INDEX IF NOT EXISTS share_returns_due ON share_returns (next_at) WHERE next_at IS NOT NULL;

-- Accounts that what is shared with, or asked back from, fails at.
CREATE TABLE IF NOT EXISTS share_troubles (account TEXT PRIMARY KEY, share_fails TEXT, return_fails TEXT);

-- In partner mode: who a person is to the sub-merchant's appid.
CREATE TABLE IF NOT EXISTS sub_openids (
    sub_openid TEXT PRIMARY KEY, openid TEXT NOT NULL UNIQUE REFERENCES users (openid)
) WITHOUT ROWID;

-- Every fen that came to an account of the merchant's (positive) or left it. Nothing here changes.
CREATE TABLE IF NOT EXISTS movements (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, account TEXT NOT NULL CHECK (account IN ('BASIC', 'OPERATION', 'FEES')),
    business_id TEXT NOT NULL, flow_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, amount INTEGER NOT NULL,
    applicant TEXT NOT NULL, note TEXT NOT NULL, voucher TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS movements_by_time ON movements (account, at, id);
CREATE TRIGGER IF NOT EXISTS movements_stay BEFORE UPDATE ON movements
BEGIN SELECT RAISE(ABORT, 'movements are never changed'); END;
CREATE TRIGGER IF NOT EXISTS movements_remain BEFORE DELETE ON movements
BEGIN SELECT RAISE(ABORT, 'movements are never deleted'); END;

CREATE TABLE IF NOT EXISTS bills (
    kind TEXT NOT NULL, variant TEXT NOT NULL, day TEXT NOT NULL, made_at REAL NOT NULL, file TEXT NOT NULL,
    sha1 TEXT NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (kind, variant, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bill_days (
    kind TEXT NOT NULL, day TEXT NOT NULL, published_at REAL, spoilt TEXT, PRIMARY KEY (kind, day)
) WITHOUT ROWID;

-- Overseas: yuan for one of the merchant's currency, times 10^8, as it was when the order was paid.
CREATE TABLE IF NOT EXISTS exchange_rates (
    out_trade_no TEXT PRIMARY KEY REFERENCES orders (out_trade_no), rate INTEGER NOT NULL CHECK (rate > 0)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS declarations (
    sub_order_id TEXT PRIMARY KEY, out_trade_no TEXT NOT NULL REFERENCES orders (out_trade_no), customs TEXT NOT NULL,
    sub_order_no TEXT NOT NULL, body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('UNDECLARED', 'PROCESSING', 'SUBMITTED', 'SUCCESS', 'FAIL', 'EXCEPT')),
    explanation TEXT, department_trade_id TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
    next_at REAL, UNIQUE (out_trade_no, customs, sub_order_no)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS declarations_due ON declarations (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS transfer_receipts (
    out_bill_no TEXT PRIMARY KEY REFERENCES transfers (out_bill_no), created_at REAL NOT NULL, ready_at REAL NOT NULL,
    token TEXT UNIQUE, token_until REAL
) WITHOUT ROWID;
