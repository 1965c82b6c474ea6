# The .rpm from its installation to its erasure, with its scriptlets and a
# study. Its dependencies are the machine's, which are Debian's: hence --nodeps.

# Debian 12's rpm has to be told that it is meant.
RPM='rpm --nodeps'
if inside 'rpm --force-debian --version >/dev/null 2>&1'; then RPM+=' --force-debian'; fi
for revision in 1 2; do push "$(rpm $revision)" /root/autotune-$revision.rpm; done
check "rpm installs" "$RPM -iv /root/autotune-1.rpm"
check "nothing is enabled and nothing runs" '
  [ "$(systemctl is-active autotune)" = inactive ]
  [ "$(systemctl is-enabled autotune)" = disabled ]'
check "user, folders and catalog are there" '
  getent passwd autotune && [ -d /run/autotune ]
  [ "$(stat -c "%U %a" /etc/autotune/credentials)" = "root 700" ]
  journalctl --list-catalog | grep -q " autotune: "'
check "everything is as it was packed" "$RPM -V autotune"

quick_study
check "the service starts" 'systemctl enable --now autotune'
eventually "and tunes" 60 'autotunectl trials --json | grep -q complete'
inside 'echo "# mine" >>/etc/autotune/autotune.toml'
daemon=$(inside 'systemctl show autotune -p MainPID --value')
check "rpm upgrades" "$RPM -Uv /root/autotune-2.rpm"
check "the new program runs, enabled as before" "
  now=\$(systemctl show autotune -p MainPID --value)
  [ \$now != $daemon ] && [ \"\$(readlink /proc/\$now/exe)\" = /usr/bin/autotuned ]
  [ \"\$(systemctl is-enabled autotune)\" = enabled ]"
check "the conffile is still the changed one" 'tail -1 /etc/autotune/autotune.toml | grep -x "# mine"'
eventually "the study goes on to its end" 600 'autotunectl status | grep -q done'
check "rpm erases" "$RPM -ev autotune"
check "nothing runs, nothing is enabled, the study and the settings are kept" '
  ! pgrep autotuned
  [ ! -e /usr/bin/autotuned ]
  ! ls /etc/systemd/system/*.wants/autotune* 2>/dev/null
  [ -e /var/lib/autotune/demo/journal.jsonl ]
  tail -1 /etc/autotune/autotune.toml.rpmsave | grep -x "# mine"'
