# The key of a language model: asked for, tried, kept encrypted for the service,
# and replaced.

install_deb 1
quick_study
# Keys are in files alone: what stands in a command is in the journal.
write /root/first <<<"sk-first-5Hq0xW2"
write /root/second <<<"sk-second-9Lm4tZ7"
write /root/wrong <<<"sk-wrong-1Bv8cR3"
write /opt/model.py <<'PY'
import http.server
import json

KEYS = {open(f"/root/{name}").read().strip(): name for name in ("first", "second")}
ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "model": "tiny",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": '{"value": 5}'},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 100, "completion_tokens": 20},
}


class Model(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        name = KEYS.get(key)
        with open("/run/keys-sent", "a") as file:
            print(name, file=file)
        body = json.dumps(ANSWER if name else {"error": f"unknown key {key}"}).encode()
        self.send_response(200 if name else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing: keys are looked for in the journal."""


http.server.HTTPServer(("127.0.0.1", 9098), Model).serve_forever()
PY
write /opt/type-key.py <<'PY'
"""Types the key in a file where `advisor setup` asks for it on a terminal."""

import os
import pty
import sys

key = open(sys.argv[1], "rb").read()
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("autotunectl", ["autotunectl", "advisor", "setup"])
said = b""
asked = False
while True:
    try:
        piece = os.read(terminal, 1024)
    except OSError:
        break
    said += piece
    if not asked and b"(not shown)" in said:
        asked = True
        os.write(terminal, key)
print(said.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
inside 'systemd-run -q --unit model python3 /opt/model.py
  until (: </dev/tcp/127.0.0.1/9098) 2>/dev/null; do sleep 0.1; done
  sed -i "s/^sampler = .*/sampler = \"random\"/; s/^#sampler = .*/sampler = \"random\"/
    s/^trials = 24/trials = 5000/" /etc/autotune/autotune.toml
  cat >>/etc/autotune/autotune.toml <<U
[advisor]
base_url = "http://127.0.0.1:9098/v1"
model = "tiny"
U'

check "a key that the server refuses is not stored" '
  said=$(autotunectl advisor setup </root/wrong 2>&1) && exit 1
  grep -q "401" <<<"$said"
  grep -q "the key is not stored" <<<"$said"
  ! grep -qFf /root/wrong <<<"$said"
  [ ! -e /etc/credstore.encrypted/openai_api_key ]
  [ ! -e /etc/autotune/credentials/openai_api_key ]'
check "one that is typed is tried, not shown, and stored encrypted" '
  said=$(NO_COLOR=1 python3 /opt/type-key.py /root/first); echo "$said"
  ! grep -qFf /root/first <<<"$said"
  grep -q "answers after" <<<"$said"
  grep -q "encrypted by systemd-creds" <<<"$said"
  [ "$(stat -c "%U %a" /etc/credstore.encrypted/openai_api_key)" = "root 600" ]
  [ ! -e /etc/autotune/credentials/openai_api_key ]'
check "the daemon is handed it" '
  systemctl start autotune
  : >/run/keys-sent
  said=$(autotunectl advisor test); echo "$said"
  grep -q "key: the credential .openai_api_key." <<<"$said"
  [ "$(cat /run/keys-sent)" = first ]'
check "a second one from a pipe is stored in its place" '
  said=$(autotunectl advisor setup </root/second 2>&1); echo "$said"
  grep -q "systemctl restart autotune" <<<"$said"
  ! grep -qFf /root/second <<<"$said"'
check "which the service has after a restart" '
  : >/run/keys-sent
  autotunectl advisor test
  systemctl restart autotune
  autotunectl advisor test
  [ "$(xargs </run/keys-sent)" = "first second" ]'
eventually "a trial runs" 60 'autotunectl status | grep -q "in step eval"'
refuse "no key is in an environment or on a command line, also of a trial" '
  until pgrep -f "(autotuned|exe) (demo-server|demo-eval)" >/dev/null; do sleep 0.1; done
  cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr "\0" "\n" |
    grep -aFf /root/first -f /root/second -f /root/wrong'
refuse "nor in the journal, nor in any file that was written" '
  journalctl -o export | grep -aFf /root/first -f /root/second -f /root/wrong ||
  grep -rFf /root/first -f /root/second -f /root/wrong /etc /var/lib /var/log /run/autotune /tmp'
