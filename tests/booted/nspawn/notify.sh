# Who is told what happens: secrets from the unit's credentials, and a unit that
# has failed.

install_deb 1
quick_study
write /opt/receiver.py <<'PY'
import http.server


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/run/received", "ab") as file:
            file.write(self.path.encode() + b" " + body + b"\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Says nothing: what it gets is looked for in the journal."""


http.server.HTTPServer(("127.0.0.1", 9099), Receiver).serve_forever()
PY
inside 'systemd-run --unit receiver python3 /opt/receiver.py
  install -m 600 /dev/stdin /etc/autotune/credentials/hook_url <<<"http://127.0.0.1:9099/s3cret"
  cat >>/etc/autotune/autotune.toml <<U
[[notify.channel]]
name = "hook"
type = "webhook"
url = { credential = "hook_url" }
U'
check "a study that begins is told" '
  systemctl start autotune
  until grep -q "^/s3cret .*\"kind\": *\"start\"" /run/received; do sleep 0.2; done'
check "a test shows the answer" 'autotunectl notify test hook | grep -q 200'
refuse "the address is nowhere to be read" '
  journalctl -u autotune -o cat | grep s3cret || autotunectl notify | grep s3cret ||
  grep -r s3cret /var/lib/autotune /var/log/autotune /run/autotune ||
  tr "\0" "\n" </proc/"$(systemctl show autotune -p MainPID --value)"/environ | grep s3cret'
check "a unit with a broken spec stays failed, and that is told" '
  systemctl stop autotune
  sed -i "s/^\[objective\]/[objektive]/" /etc/autotune/autotune.toml
  ! systemctl start autotune
  until grep -q "\"kind\": *\"crashed\"" /run/received; do sleep 0.2; done
  systemctl is-failed autotune
  sed -i "s/^\[objektive\]/[objective]/" /etc/autotune/autotune.toml'
check "a credential that is not there is named" '
  rm /etc/autotune/credentials/hook_url
  ! systemctl start autotune
  systemctl status autotune --no-pager -l | grep "hook_url"'
