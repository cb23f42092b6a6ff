#!/usr/bin/env python3
"""A registrar and proxy as providers have them, for one user and whom that user talks to.

    sip_server.py ADDRESS PORT TLS_PORT OTHER_HOST:PORT [CHAIN.pem KEY.pem]

listens at PORT for UDP and TCP, and for TLS at TLS_PORT if there is a certificate. A REGISTER is
answered with where it came from (RFC 3581); all else passes between whoever has registered and the
other phone, which is reached by UDP. Each REGISTER is told in a line of JSON.
"""

import asyncio
import json
import ssl
import sys

address, port, tls_port, other, *pem = sys.argv[1:]
other = (other.rsplit(":", 1)[0], int(other.rsplit(":", 1)[1]))
user = None


def tell(event, **what):
    print(json.dumps({"event": event, **what}), flush=True)


def registered(text, source):
    lines = text.split("\r\n")
    kept = []
    for line in lines[1:]:
        name = line.split(":")[0].lower()
        if name == "via":
            line = line.replace(";rport", f";received={source[0]};rport={source[1]}")
        if name in ("via", "from", "to", "call-id", "cseq", "contact"):
            kept.append(line)
    return "\r\n".join(["SIP/2.0 200 OK", *kept, "Expires: 600", "Content-Length: 0", "", ""])


def from_user(text, source, transport, answer):
    """What a phone says that is not the other one."""
    global user
    if not text.strip():
        return
    if text.startswith("REGISTER"):
        user = answer
        answer(registered(text, source))
        contacts = [line for line in text.split("\r\n") if line.startswith("Contact:")]
        ends = "Expires: 0" in text
        tell("unregister" if ends else "register", transport=transport, source=source[0],
             contact=contacts[0])
        return
    if text.startswith("INVITE"):
        line, rest = text.split("\r\n", 1)
        text = f"{line}\r\nRecord-Route: <sip:{address}:{port};lr>\r\n{rest}"
    datagrams.sendto(text.encode(), other)


class Datagrams(asyncio.DatagramProtocol):
    def datagram_received(self, data, source):
        text = data.decode()
        if source != other:
            from_user(text, source, "udp", lambda text: datagrams.sendto(text.encode(), source))
        elif user:
            if text.startswith("INVITE"):
                line, rest = text.split("\r\n", 1)
                text = f"{line}\r\nRecord-Route: <sip:{address}:{port};lr>\r\n{rest}"
            user(text)


def streams(transport):
    async def serve(reader, writer):
        source = writer.get_extra_info("peername")
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = [line for line in head.split("\r\n") if line.startswith("Content-Length")]
                length = int(lengths[0].split(":")[1]) if lengths else 0
                text = head + (await reader.readexactly(length)).decode()
                from_user(text, source, transport, lambda text: writer.write(text.encode()))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return serve


async def main():
    global datagrams
    loop = asyncio.get_running_loop()
    datagrams, _ = await loop.create_datagram_endpoint(Datagrams, (address, int(port)))
    await asyncio.start_server(streams("tcp"), address, int(port))
    if pem:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pem)
        await asyncio.start_server(streams("tls"), address, int(tls_port), ssl=context)
    tell("ready")
    await asyncio.Event().wait()


asyncio.run(main())
