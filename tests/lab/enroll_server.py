#!/usr/bin/env python3
"""An enrollment server (RFC 6940 section 11.3) of Python's own HTTP server and the openssl program.

    enroll_server.py FOLDER OVERLAY ACCOUNT PASSWORD

makes a root in FOLDER/root.der, prints the port that it listens on at 127.0.0.1, and issues a
certificate for ACCOUNT@OVERLAY to whoever has the password. It shares no code with the client.
"""

import email.parser
import http.server
import pathlib
import secrets
import ssl
import subprocess
import sys

folder, overlay, account, password = pathlib.Path(sys.argv[1]), *sys.argv[2:5]


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def sign(request, form, out, names, usage, out_form):
    (folder / "extensions").write_text(
        f"subjectAltName=critical,{names}\nbasicConstraints=critical,CA:FALSE\n"
        f"keyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n"
    )
    openssl("x509", "-req", "-inform", form, "-in", request, "-CA", "root.pem", "-CAkey",
            "root.key", "-CAcreateserial", "-days", "30", "-extfile", "extensions",
            "-outform", out_form, "-out", out)


def parts(content_type, body):
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser().parsebytes(head + body)
    for part in message.get_payload():
        name = part.get_param("name", header="content-disposition")
        yield name, (part.get_content_type(), part.get_payload(decode=True))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        form = dict(parts(self.headers["Content-Type"], body))
        if form["username"][1] != account.encode() or form["password"][1] != password.encode():
            return self.answer(403, "text/plain", b"failed_authentication")
        media_type, request = form["csr"]
        if media_type != "application/pkcs10":
            return self.answer(403, "text/plain", b"bad_CSR")
        if self.headers["Accept"] != "application/pkix-cert":
            return self.answer(406, "text/plain", b"")
        (folder / "request.der").write_bytes(request)
        count = int(form["nodeids"][1]) if "nodeids" in form else 1
        ids = [f"URI:reload://0110{secrets.token_hex(16)}@{overlay}/" for _ in range(count)]
        names = ",".join([*ids, f"email:{account}@{overlay}"])
        try:
            openssl("req", "-inform", "DER", "-in", "request.der", "-verify", "-noout")
            usage = "clientAuth,serverAuth"
            sign("request.der", "DER", "certificate.der", names, usage, "DER")
        except subprocess.CalledProcessError:
            return self.answer(403, "text/plain", b"bad_CSR")
        self.answer(200, "application/pkix-cert", (folder / "certificate.der").read_bytes())

    def answer(self, status, media_type, body):
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
openssl("req", "-x509", *curve, "-keyout", "root.key", "-out", "root.pem", "-days", "30",
        "-subj", f"/CN=Authority of {overlay}",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign")
openssl("x509", "-in", "root.pem", "-outform", "DER", "-out", "root.der")
openssl("req", "-new", *curve, "-keyout", "web.key", "-out", "web.csr", "-subj", "/CN=web")
sign("web.csr", "PEM", "web.pem", f"IP:127.0.0.1,DNS:{overlay}", "serverAuth", "PEM")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "web.pem", folder / "web.key")
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
