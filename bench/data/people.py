"""Members with an address each; some of them, and one operator, are signed in."""

import base64
import hashlib
from typing import Any

from bench.data.goods import follow
from bench.size import Size

APP_ID = "wx00000000000bench"

_MEMBERS = """
    INSERT INTO member (id, nickname, phone, created_at) OVERRIDING SYSTEM VALUE
    SELECT m, '会员' || m, '138' || lpad(m::text, 8, '0'), now() - interval '731 days'
    FROM generate_series(1, $1::bigint) AS m
"""
_IDENTITIES = """
    INSERT INTO identity (id, member_id, appid, openid, created_at) OVERRIDING SYSTEM VALUE
    SELECT m, m, $2, 'o' || left(md5(m::text), 27), now() - interval '731 days' FROM generate_series(1, $1::bigint) AS m
"""
_ADDRESSES = """
    INSERT INTO address (member_id, name, phone, province, city, district, detail, tag, is_default, created_at)
    SELECT m, '收件人' || m, '138' || lpad(m::text, 8, '0'), p.province, p.city, p.district,
        '科苑路' || m % 900 + 1 || '号', '家', true, now() - interval '731 days'
    FROM generate_series(1, $1::bigint) AS m
    JOIN (VALUES (0, '广东省', '深圳市', '南山区'), (1, '浙江省', '杭州市', '西湖区'), (2, '江苏省', '南京市', '鼓楼区'),
        (3, '四川省', '成都市', '武侯区'), (4, '湖北省', '武汉市', '洪山区'), (5, '北京市', '北京市', '朝阳区'),
        (6, '上海市', '上海市', '徐汇区'), (7, '陕西省', '西安市', '雁塔区')) AS p(n, province, city, district) ON p.n = m % 8
    ORDER BY m
"""
# The SKUs that the cart workload goes on adding to.
_CARTS = """
    INSERT INTO cart_line (member_id, sku_id, quantity, selected, added_at)
    SELECT m, 1 + (m * 12 + n) % $2, 1, true, now() - interval '1 day' * n
    FROM generate_series(1, $1::bigint) AS m, generate_series(1, 3) AS n ORDER BY m, n
"""
# The token of member m is made of m alone, so that nothing has to be kept between runs but the database.
_TOKEN_SQL = "rtrim(translate(encode(sha256(convert_to('bench:' || m, 'UTF8')), 'base64'), '+/', '-_'), '=')"
_SESSIONS = f"""
    INSERT INTO member_session (token_hash, member_id, identity_id, created_at, expires_at)
    SELECT sha256(convert_to({_TOKEN_SQL}, 'UTF8')), m, m, now(), now() + interval '1 year'
    FROM generate_series(1, $1::bigint) AS m
"""
_STAFF = """
    WITH person AS (
        INSERT INTO staff (login, name, password_hash, role, disabled, created_at)
        VALUES ('bench', '测速', '!', 'manager', false, now()) RETURNING id
    )
    INSERT INTO staff_session (token_hash, staff_id, created_at, expires_at)
    SELECT $1, id, now(), now() + interval '1 year' FROM person
"""


def token(who: int | str) -> str:
    """The session token of a member by number, or of the operator (`staff`)."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"bench:{who}".encode()).digest()).decode().rstrip("=")


async def members(connection: Any, size: Size) -> None:
    """All members with an address each; those who are signed in have a session, and three things in the cart."""
    await connection.execute(_MEMBERS, size.members)
    await connection.execute(_IDENTITIES, size.members, APP_ID)
    await connection.execute(_ADDRESSES, size.members)
    await connection.execute(_SESSIONS, size.signed_in)
    await connection.execute(_CARTS, size.signed_in, size.skus)
    await connection.execute(_STAFF, hashlib.sha256(token("staff").encode()).digest())
    await follow(connection, "member")
    await follow(connection, "identity")
