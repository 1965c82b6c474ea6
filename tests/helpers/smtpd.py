"""A mail server by aiosmtpd, for tests/notify: prints its port, then each mail
that it takes as a line of JSON. Its only argument is a JSON object:

tls      "starttls", "tls" or "none"
cert, key, user, password
refused  the recipient that it refuses
put_off  so many mails are put off with a 451 first
greylisted  a recipient that is put off with a 451 the first time
hang     whether it says nothing any more once a mail is there
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

manners = json.loads(sys.argv[1])


class Handler:
    put_off = manners.get("put_off", 0)
    greylisted = manners.get("greylisted")

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.put_off > 0:
            self.put_off -= 1
            return "451 4.7.1 come back later"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == manners.get("refused"):
            return "550 5.1.1 no such user"
        if address == self.greylisted:
            self.greylisted = None
            return "451 4.7.1 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if manners.get("hang"):
            await asyncio.sleep(3600)
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "text": envelope.content.decode(),
            "over_tls": server.transport.get_extra_info("ssl_object") is not None,
            "login": session.authenticated,
        }
        print(json.dumps(mail), flush=True)
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = data.login.decode() == manners["user"] and data.password.decode() == manners["password"]
    return AuthResult(success=good, handled=False)


context = None
if manners["tls"] != "none":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(manners["cert"], manners["key"])


handler = Handler()
starttls = manners["tls"] == "starttls"
login = "user" in manners


def factory():
    return SMTP(
        handler,
        hostname="mail.test",
        tls_context=context if starttls else None,
        require_starttls=starttls,
        auth_required=login,
        auth_require_tls=starttls,
        authenticator=authenticate if login else None,
        loop=asyncio.get_running_loop(),
    )


async def main():
    loop = asyncio.get_running_loop()
    secure = context if manners["tls"] == "tls" else None
    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=secure)
    print(server.sockets[0].getsockname()[1], flush=True)
    # It ends with whoever has started it.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
