-- A number as the shop makes them: a prefix, 8 digits of time in ms to base 62, 14 more. Neighbours in time are
-- neighbours in the index, as they are in a shop that grew.
CREATE OR REPLACE FUNCTION pg_temp.number(prefix text, at timestamptz, seed bigint) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT prefix || string_agg(
        substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
            ((extract(epoch FROM at) * 1000)::bigint / (62 ^ k)::bigint % 62)::int + 1, 1), '' ORDER BY k DESC)
        || left(md5(prefix || seed), 14)
    FROM generate_series(0, 7) AS k
$$;
-- One of 1 … n, always the same for a seed and a purpose.
CREATE OR REPLACE FUNCTION pg_temp.pick(seed bigint, purpose bigint, n bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT 1 + (hashint8extended(seed, purpose) & 9223372036854775807) % n $$;
