#!/usr/bin/env python3
"""The web server of an overlay's name: Python's own, with TLS.

    web_server.py ADDRESS PORT DOCUMENT CHAIN.pem KEY.pem

hands out DOCUMENT at /.well-known/reload-config and says "ready" once it listens.
"""

import http.server
import pathlib
import ssl
import sys

address, port, document, chain, key = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/.well-known/reload-config" or self.headers["Host"] != "example.test":
            return self.send_error(404)
        body = pathlib.Path(document).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/p2p-overlay+xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(chain, key)
server = http.server.HTTPServer((address, int(port)), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
