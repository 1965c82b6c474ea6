# What only a whole machine has: controllers, a reboot, and a power cut in the
# middle of a study.

check "the machine has the controllers that the tests need" '
  for controller in memory pids cpu io; do grep -qw $controller /sys/fs/cgroup/cgroup.controllers; done'
install_deb 1
quick_study
check "the service starts, and with the machine" 'systemctl enable --now autotune'
check "it has the controllers for its trials" '
  group=/sys/fs/cgroup$(systemctl show autotune -p ControlGroup --value)
  for controller in memory pids cpu; do grep -qw $controller "$group/cgroup.controllers"; done'

eventually "it tunes" 120 '[ "$(autotunectl trials --outcome complete | grep -cw complete)" -ge 1 ]'
inside 'cp /var/lib/autotune/demo/journal.jsonl /root/before; sync /root/before'
"$HERE/tb" kill "$MACHINE"
"$HERE/tb" start "$MACHINE"
check "after a power cut the service is there again" 'systemctl is-active autotune'
check "and nothing that was on disk is lost" '
  head -c "$(stat -c %s /root/before)" /var/lib/autotune/demo/journal.jsonl | cmp - /root/before'
eventually "it goes on" 120 '[ "$(autotunectl trials --outcome complete | grep -cw complete)" -ge 2 ]'

"$HERE/tb" reboot "$MACHINE"
check "after a reboot the service is there again" 'systemctl is-active autotune'
eventually "it goes on to its end" 400 'autotunectl status | grep -q done'
check "nothing of a trial is left" '! pgrep -f "autotuned (trial|demo-server|demo-eval)"'
