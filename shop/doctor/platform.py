"""Does the Mini Program's account work? AppID and AppSecret against an access token (`POST /cgi-bin/stable_token`).

The stable token is the same for everybody who asks: the running shop's is not replaced by this.
"""

import httpx
import msgspec

from kit.http import outside_client
from shop.doctor.findings import Finding, ok, warning, wrong
from shop.settings import WeChatSettings
from wechat import answers
from wechat.answers import Refusal, WeChatUnavailable

_ABOUT = "Mini Program"
_REMEDIES = {
    40013: "WECHAT_APP_ID is unknown: copy the AppID from mp.weixin.qq.com (development settings).",
    40125: "WECHAT_APP_SECRET is not this Mini Program's: reset it in mp.weixin.qq.com and set it here.",
    41004: "WECHAT_APP_SECRET is missing: set it.",
    40164: "Put this machine's public address on the IP list in mp.weixin.qq.com (development settings).",
    40243: "The AppSecret is frozen: thaw it in mp.weixin.qq.com.",
    50002: "The account is restricted: see mp.weixin.qq.com.",
}


async def look(account: WeChatSettings) -> Finding:
    """Whether an access token is given for AppID and AppSecret."""
    client = outside_client(account.url, timeout_s=10.0)
    body = {
        "grant_type": "client_credential",
        "appid": account.app_id,
        "secret": account.app_secret,
        "force_refresh": False,
    }
    try:
        response = await client.post("/cgi-bin/stable_token", content=msgspec.json.encode(body))
        answer = answers.read(response.content)
    except (httpx.TransportError, WeChatUnavailable):
        todo = "See that this machine may call that address, and that WECHAT_API_URL is right."
        return wrong(_ABOUT, f"{account.url} does not answer as WeChat does", todo)
    finally:
        await client.aclose()
    if isinstance(answer, Refusal):
        if answer.errcode in answers.RATE_LIMITED or answer.errcode == answers.SYSTEM_ERROR:
            return warning(_ABOUT, f"errcode {answer.errcode}", "WeChat is busy: look again in a minute.")
        todo = _REMEDIES.get(answer.errcode, "Look the errcode up in WeChat's documentation.")
        return wrong(_ABOUT, f"no access token: errcode {answer.errcode}", todo)
    return ok(_ABOUT, f"{account.app_id} and its secret fit: an access token is given")
