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

# A member of the group may steer, another may not.
inside 'useradd member; usermod -aG autotune member; useradd stranger'
check "a member of the group steers" 'runuser -u member -- autotunectl pause; runuser -u member -- autotunectl resume'
refuse "a stranger does not even ask" 'runuser -u stranger -- autotunectl status'

# Upgrade with a trial running.
inside 'autotunectl trials --json >/run/before'
daemon=$(inside 'systemctl show autotune -p MainPID --value')
check "a local change of the conffile" 'echo "# mine" >>/etc/autotune/autotune.toml'
install_deb 2
check "the new program runs" "
  now=\$(systemctl show autotune -p MainPID --value)
  [ \$now != $daemon ] && [ \"\$(readlink /proc/\$now/exe)\" = /usr/bin/autotuned ]"
check "the conffile is still the changed one" 'tail -1 /etc/autotune/autotune.toml | grep -x "# mine"'
eventually "the study goes on to its end" 240 'autotunectl status | grep -q done'
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
eventually "nothing of a trial is left" 10 '! pgrep -f "autotuned (trial|demo-server|demo-eval)"'

# A program replaced below a daemon that is not restarted.
write /usr/sbin/policy-rc.d <<'E'
#!/bin/sh
exit 101
E
inside 'chmod 755 /usr/sbin/policy-rc.d'
daemon=$(inside 'systemctl show autotune -p MainPID --value')
check "an upgrade that may not restart" 'dpkg -i --force-confold /root/autotune-1.deb'
check "leaves the daemon on the replaced program" "
  [ \"\$(readlink /proc/$daemon/exe)\" = '/usr/bin/autotuned (deleted)' ]"
check "which still starts trials" '
  autotunectl enqueue N_PROBE=8 N_LISTS=128 BATCH=8
  trial=$(autotunectl trials | tail -1 | grep -o "[0-9]*" | head -1)
  autotunectl wait --for done --timeout 60
  autotunectl show $trial; autotunectl trials | tail -1 | grep -v failed'
inside 'rm /usr/sbin/policy-rc.d'

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

# A person who has that name is left alone.
inside 'useradd --create-home --uid 1500 autotune'
install_deb 1
check "apt purges again" 'DEBIAN_FRONTEND=noninteractive apt-get purge -y autotune'
check "a person called autotune stays" 'getent passwd autotune && [ -d /home/autotune ]'
