# What systemd knows of the daemon: readiness, its status line, the watchdog, the
# kept socket, entries in the journal.

install_deb 1
quick_study
# One that has no end while this lasts.
inside 'sed -i "s/^sampler = .*/sampler = \"random\"/; s/^#sampler = .*/sampler = \"random\"/
  s/^trials = 24/trials = 5000/" /etc/autotune/autotune.toml
  grep -q "^sampler = \"random\"" /etc/autotune/autotune.toml'
check "it is ready when start returns" 'systemctl start autotune; autotunectl ping'
eventually "systemctl status tells what it does" 60 '
  systemctl show autotune -p StatusText | grep -q "trial [0-9]* of .*eval"'
eventually "an entry is found by its trial" 60 '
  journalctl -u autotune AUTOTUNE_TRIAL=1 AUTOTUNE_EVENT=run-ended -o cat | grep -q "^trial 1: eval run 1: recall"'
eventually "a new best is a notice, with an explanation" 120 '
  journalctl -u autotune -p notice -x -o short | grep -q "is the best so far"
  ! journalctl -u autotune -p notice -o cat | grep -q "eval run"'
check "and names the study" '
  journalctl -u autotune AUTOTUNE_STUDY=demo -o cat | grep -q "^study demo: maximize qps"'

# A client that connects while nobody serves waits for the next daemon.
check "a client waits through a kill -9" '
  kill -9 "$(systemctl show autotune -p MainPID --value)"
  autotunectl ping'
# Also one whom the daemon that leaves has taken on already.
check "and through a restart" '
  before=$(systemctl show autotune -p MainPID --value)
  systemctl restart --no-block autotune
  now=$before
  while [ "$now" = "$before" ] || [ "$now" = 0 ]; do
    autotunectl ping
    now=$(systemctl show autotune -p MainPID --value)
  done
  autotunectl status'
eventually "the study goes on" 60 'autotunectl status | grep -q "goes on"'
check "an edited spec is taken over by a reload" '
  sed -i "s/^trials = 5000/trials = 4999/" /etc/autotune/autotune.toml
  systemctl reload autotune
  autotunectl set | grep -q "budget.trials *4999"'
refuse "one with a mistake is not" '
  echo nonsense >>/etc/autotune/autotune.toml
  systemctl reload autotune'
check "the reason stands in the journal, and the old one stays" '
  journalctl -u autotune -o cat | grep -q "keeping the old spec"
  sed -i "\$d" /etc/autotune/autotune.toml
  autotunectl status | grep -q "goes on"'

check "after a stop the client says how to start it, and starts nothing" '
  systemctl stop autotune
  said=$(autotunectl status 2>&1) && exit 1
  grep -q "autotune is stopped: systemctl start autotune" <<<"$said"
  [ "$(systemctl is-active autotune)" = inactive ]'
check "nothing of a trial is left" '! pgrep -f "(autotuned|exe) (trial|demo-server|demo-eval)"'

# A daemon that hangs: a program built for this alone.
push "$HANG/autotuned" /opt/hang/autotuned
inside 'cat >/etc/systemd/system/autotune.service.d/60-hang.conf <<U
[Service]
ExecStart=
ExecStart=/opt/hang/autotuned run --stay --socket /run/autotune/control.sock /etc/autotune/autotune.toml
Environment=AUTOTUNE_HANG=/run/hang
WatchdogSec=2s
RestartSec=100ms
U
  systemctl daemon-reload
  systemctl start autotune'
eventually "it tunes" 60 'autotunectl status | grep -q "in step eval"'
check "one that hangs is killed by the watchdog" '
  end=$(($(date +%s) + 60))
  until pgrep -f "(autotuned|exe) (trial|demo-server|demo-eval)" >/run/old; do [ $(date +%s) -lt $end ]; done
  touch /run/hang
  until journalctl -u autotune -o cat | grep -q "Watchdog timeout"; do [ $(date +%s) -lt $end ]; sleep 0.2; done
  rm /run/hang'
eventually "with all of its trial" 30 '
  for pid in $(cat /run/old); do [ ! -e /proc/$pid ]; done'
eventually "and the study goes on" 60 'autotunectl status | grep -q "in step eval"'
check "one that has nothing to do is left alone, for ten periods" '
  autotunectl pause; autotunectl wait --for paused --timeout 60s
  before=$(systemctl show autotune -p MainPID --value)
  sleep 20
  [ "$(systemctl show autotune -p MainPID --value)" = "$before" ]
  autotunectl status | grep -q "is paused"'
