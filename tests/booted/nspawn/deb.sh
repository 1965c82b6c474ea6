# The .deb from its installation to its purge, with a study.

install_deb 1
check "nothing is enabled and nothing runs" '
  [ "$(systemctl is-active autotune)" = inactive ]
  [ "$(systemctl is-enabled autotune)" = disabled ]
  ! pgrep autotuned'
check "the user is there" '
  [ "$(getent passwd autotune | cut -d: -f6,7)" = /var/lib/autotune:/usr/sbin/nologin ]'
check "the program runs here" 'autotuned check --no-host /etc/autotune/autotune.toml'
check "everything of the package is as it was packed" 'dpkg --verify autotune'

quick_study
check "the service starts" 'systemctl enable --now autotune'
eventually "and tunes" 60 'autotunectl trials --json | grep -q complete'
check "its own cgroup has the trials" '
  group=/sys/fs/cgroup$(systemctl show autotune -p ControlGroup --value)
  find "$group" -mindepth 1 -type d | grep -q "autotune-.*/steps"'

# Upgrade with a trial running.
inside 'autotunectl trials --json >/run/before'
daemon=$(inside 'systemctl show autotune -p MainPID --value')
check "a local change of the conffile" 'echo "# mine" >>/etc/autotune/autotune.toml'
install_deb 2
check "the new program runs" "
  now=\$(systemctl show autotune -p MainPID --value)
  [ \$now != $daemon ] && [ \"\$(readlink /proc/\$now/exe)\" = /usr/bin/autotuned ]"
check "the conffile is still the changed one" 'tail -1 /etc/autotune/autotune.toml | grep -x "# mine"'

# The program is replaced below a daemon that is not restarted, in the middle of
# a run.
write /usr/sbin/policy-rc.d <<'E'
#!/bin/sh
exit 101
E
inside 'chmod 755 /usr/sbin/policy-rc.d'
eventually "a run is held up" 60 '
  pkill -STOP -f "^/usr/bin/autotuned demo-eval"
  pgrep --runstates T -f "^/usr/bin/autotuned demo-eval"'
trial=$(inside 'autotunectl status --json | python3 -c "import json, sys; print(json.load(sys.stdin)[\"running\"][\"trial\"])"')
check "an upgrade that may not restart" 'dpkg -i --force-confold /root/autotune-1.deb'
check "leaves the daemon and all of its trial on the replaced program" '
  programs=$(pgrep -x autotuned | while read -r pid; do readlink /proc/$pid/exe; done)
  echo "$programs"
  [ "$(wc -l <<<"$programs")" -ge 4 ]
  ! grep -vx "/usr/bin/autotuned (deleted)" <<<"$programs"'
inside 'pkill -CONT -f "^/usr/bin/autotuned demo-eval"; rm /usr/sbin/policy-rc.d'
check "that trial ends well" "
  autotunectl wait --for trial=$trial --timeout 2m
  autotunectl show $trial --json | grep -E '\"outcome\": *\"(complete|pruned|infeasible)\"'"
eventually "further ones are started" 60 "
  autotunectl show $((trial + 1))"
eventually "the study goes on to its end" 600 'autotunectl status | grep -q done'
check "no finished run was repeated, and all is one study" '
  python3 - <<P
import json
rows = [json.loads(l) for l in open("/var/lib/autotune/demo/tune_results.jsonl")]
assert len(rows) > 8, len(rows)
runs = [json.loads(l) for l in open("/var/lib/autotune/demo/journal.jsonl")]
seen = set()
for line in runs:
    text = json.dumps(line)
    assert text not in seen
    seen.add(text)
P
  autotunectl best --env | grep QUANT_BITS'
eventually "nothing of a trial is left" 10 '! pgrep -f "(autotuned|exe) (trial|demo-server|demo-eval)"'

# Remove keeps the study, installing again finds it.
check "apt removes" 'DEBIAN_FRONTEND=noninteractive apt-get remove -y autotune'
check "nothing runs, the study and the settings are kept" '
  ! pgrep autotuned
  [ -e /var/lib/autotune/demo/journal.jsonl ]
  tail -1 /etc/autotune/autotune.toml | grep -x "# mine"
  getent passwd autotune'
install_deb 1
check "what was enabled is enabled, and the study is there" '
  [ "$(systemctl is-enabled autotune)" = enabled ]
  systemctl start autotune'
eventually "done as before" 30 'autotunectl status | grep -q done'

# Purge: what is autotune's goes, what is not stays.
inside 'mkdir -p /data; touch /data/mine; ln -s /data /var/lib/autotune/link
  echo "[study]" >/etc/autotune/mine.toml; find / -xdev -name "*autotune*" >/dev/null'
check "apt purges" 'DEBIAN_FRONTEND=noninteractive apt-get purge -y autotune'
check "state, logs, user and group are gone" '
  ! pgrep autotuned
  ! getent passwd autotune && ! getent group autotune
  ! ls -d /var/lib/autotune /var/log/autotune /run/autotune /usr/bin/autotune* 2>/dev/null'
check "what the package did not bring stays" '[ -e /data/mine ] && [ -e /etc/autotune/mine.toml ]'
check "nothing else is left" '
  left=$(find / -xdev -name "*autotune*" ! -path "/proc/*" ! -path "/sys/*" ! -path "/root/*" \
    ! -path "/etc/autotune*" ! -path "/etc/systemd/system/autotune.service.d*" ! -path "/var/log/journal/*" \
    ! -path "/tmp/*")
  echo "$left"; [ -z "$left" ]'
check "systemd is content" 'systemctl daemon-reload; [ -z "$(systemctl list-units --all --plain --no-legend "autotune*" | grep -v not-found)" ]'

# A person who has that name is left alone, and so is what is mounted.
inside 'useradd --create-home --uid 1500 autotune'
install_deb 1
inside 'mkdir -p /var/lib/autotune/models /var/log/autotune
  mount --bind /data /var/lib/autotune/models
  mount -t tmpfs none /var/log/autotune
  touch /var/log/autotune/mine'
check "apt purges where file systems are mounted, and says so" '
  DEBIAN_FRONTEND=noninteractive apt-get purge -y autotune >/run/said 2>&1 || { cat /run/said; exit 1; }
  grep "autotune: something is mounted at or below /var/lib/autotune: it is not deleted" /run/said
  grep "autotune: something is mounted at or below /var/log/autotune: it is not deleted" /run/said'
check "what is mounted stays" '[ -e /data/mine ] && [ -e /var/log/autotune/mine ]'
check "a person called autotune stays" 'getent passwd autotune && [ -d /home/autotune ]'
