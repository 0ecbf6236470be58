"""`POST /v3/security/echo`: proves keys, certificates and the notify URL without moving money."""

import msgspec

from payments.wechatpay import sealing
from payments.wechatpay.answers import Unknown, read
from payments.wechatpay.speaker import Speaker
from payments.wechatpay.wording import said


class Echo(msgspec.Struct, frozen=True):
    """`encrypted_echo_message` is for our private key."""

    echo_message: str
    encrypted_echo_message: str | None = None


class Echoing(Speaker):
    """WeChat says after us."""

    async def echo(self, message: str, *, secret: str | None = None, notify: bool = False) -> Echo:
        """What came back. With `notify` a `SECURITY_ECHO.SUCCESS` follows to our notify URL; `secret` travels sealed.

        Raises `Refused`, `Unknown`, `sealing.CannotSeal` (503) before any key of WeChat is known.
        """
        sealed = sealing.seal(self.connection.keyring, secret or message)
        body = said(
            {
                "echo_message": message,
                "notify_url": self.notify_url if notify else None,
                "encrypted_echo_message": sealed.text if secret else None,
            }
        )
        raw = await self.connection.call("POST", "/v3/security/echo", body, serial=sealed.serial)
        echo = read(raw, Echo)
        if echo.echo_message != message:
            raise Unknown("an echo of something else")
        return echo
