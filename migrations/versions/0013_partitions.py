"""What makes the next partitions of tables that `python -m shop partition` has divided. It does nothing until then."""

from alembic import op

revision = "0013"
down_revision = "0012"

# The application's role may not alter the schema, and its worker must: so the owner lends it this one act. Nothing in it
# comes from the caller: no argument, no name that a search path of the caller's could bend.
_MAKE = r"""
CREATE FUNCTION make_partitions_ahead() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '300ms'  -- shorter than deadlock_timeout: in any quarrel about locks it is we who step back
AS $$
DECLARE
    ahead CONSTANT bigint := 3;
    name text;
    used bigint;
    newest record;
    fresh text;
    made bigint := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7260126002) THEN
        RETURN 0;  -- another worker is at it
    END IF;
    FOR name IN
        SELECT relname FROM pg_class WHERE relkind = 'p' AND relnamespace = 'public'::regnamespace
            AND relname IN ('audit_entry', 'order_event', 'stock_move') ORDER BY relname
    LOOP
        used := coalesce(pg_sequence_last_value(pg_get_serial_sequence('public.' || name, 'id')::regclass), 0);
        LOOP
            SELECT lower, upper INTO STRICT newest FROM (
                SELECT (regexp_match(b.bound, 'FROM \(''?(\d+)'))[1]::bigint AS lower,
                       (regexp_match(b.bound, 'TO \(''?(\d+)'))[1]::bigint AS upper
                FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
                     LATERAL pg_get_expr(c.relpartbound, c.oid) AS b(bound)
                WHERE i.inhparent = ('public.' || name)::regclass AND NOT i.inhdetachpending
            ) spans ORDER BY upper DESC LIMIT 1;
            -- As wide as the newest one, until three that are empty wait.
            EXIT WHEN newest.upper - used > ahead * (newest.upper - newest.lower);
            fresh := name || '_from_' || newest.upper;
            -- Made apart and then attached: readers and writers of the table are not held up.
            BEGIN
                EXECUTE format('CREATE TABLE partitions.%I (LIKE public.%I INCLUDING ALL EXCLUDING IDENTITY)',
                    fresh, name);
                EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION partitions.%I FOR VALUES FROM (%s) TO (%s)',
                    name, fresh, newest.upper, newest.upper + (newest.upper - newest.lower));
            EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
                EXIT;  -- in use; the next turn tries again, and there is time: see `ahead`
            END;
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$
"""


def upgrade() -> None:
    op.execute(_MAKE)
    op.execute("REVOKE ALL ON FUNCTION make_partitions_ahead() FROM PUBLIC")
