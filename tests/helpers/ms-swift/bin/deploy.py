"""Stands in for `swift deploy`: an endpoint for chats, of the models that the
arguments name."""

import http.server
import json
import sys

words = [word for word in sys.argv[1:] if "=" in word]
options = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
models = [options["served_model_name"]]
# One after `=`, or several after `--adapters`.
adapters = [word for word in words if not word.startswith("--")]
adapters += [options["adapters"]] if "adapters" in options else []
for adapter in adapters:
    name, named, _ = adapter.partition("=")
    models += [name] if named else []


class Chat(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"data": [{"id": model} for model in models]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = asked["model"] in models
        said = {"message": {"content": asked["model"]}, "finish_reason": "stop"}
        self.answer({"choices": [said]} if known else {}, 200 if known else 400)

    def answer(self, body, status=200):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


http.server.HTTPServer((options["host"], int(options["port"])), Chat).serve_forever()
