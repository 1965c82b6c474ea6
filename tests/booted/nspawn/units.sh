# The units as systemd sees them, and what the service may do.

install_deb 1

# Its exit code is 0 even for keys that it does not know.
check "systemd-analyze verify has nothing to say" '
  said=$(systemd-analyze verify autotune.service autotune@some.service autotune-failed@autotune.service.service 2>&1)
  echo "$said"; [ -z "$said" ]'
for unit in autotune.service autotune@.service; do
  check "the exposure of $unit is 4.0 at most" "
    said=\$(systemd-analyze security --no-pager --offline=yes --threshold=40 /usr/lib/systemd/system/$unit)
    echo \"\$said\" | tail -1"
  inside "systemd-analyze security --no-pager --offline=yes /usr/lib/systemd/system/$unit | tail -1"
done
check "the catalog has twelve events" '[ "$(journalctl --list-catalog | grep -c " autotune: ")" = 12 ]'
check "man shows the pages" 'for page in autotune autotuned autotunectl autotune.toml; do
  man $page | head -1 | grep -i "^$page"; done'

# What the service's sandbox lets a program do.
write /usr/local/bin/look <<'E'
#!/bin/bash
# Prints a line of what it is and what it can do.
id -un
for place in /var/lib/autotune /var/log/autotune /tmp /run/autotune; do touch $place/x && rm $place/x && echo "writes $place"; done
for place in /etc/autotune /usr /var/lib /root /home /opt; do touch $place/x 2>/dev/null && echo "writes $place"; done
ls /etc/autotune/credentials >/dev/null 2>&1 && echo "lists the credentials"
[ -d "$CREDENTIALS_DIRECTORY" ] && echo "has credentials: $(ls "$CREDENTIALS_DIRECTORY")"
grep -q . /proc/meminfo && echo "reads meminfo"
own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
mkdir "$own/trial" && rmdir "$own/trial" && echo "makes cgroups"
python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=7)' && echo "maps code"
python3 -c 'import socket; socket.socket(socket.AF_INET)' && echo "has the network"
python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)' 2>/dev/null && echo "has raw sockets"
ulimit -c
E
inside 'chmod 755 /usr/local/bin/look; echo hunter2 >/etc/autotune/credentials/webhook
  mkdir -p /run/systemd/system/autotune.service.d'
write /run/systemd/system/autotune.service.d/look.conf <<'E'
[Service]
Type=oneshot
Restart=no
ExecStart=
ExecStart=/usr/local/bin/look
ExecStopPost=
StandardOutput=truncate:/run/looked
E
check "a program runs in the sandbox" 'systemctl daemon-reload; systemctl start autotune; cat /run/looked'
write /run/expected <<'E'
autotune
writes /var/lib/autotune
writes /var/log/autotune
writes /tmp
writes /run/autotune
has credentials: autotune_webhook
reads meminfo
makes cgroups
maps code
has the network
0
E
check "and can do what GPU work needs, and no more" 'diff /run/expected /run/looked'
check "the owners of the folders are right" '
  [ "$(stat -c "%U %a" /etc/autotune)" = "root 755" ]
  [ "$(stat -c "%U %a" /etc/autotune/credentials)" = "root 700" ]
  [ "$(stat -c "%U:%G %a" /var/lib/autotune)" = "autotune:autotune 750" ]
  [ "$(stat -c "%U:%G %a" /run/autotune)" = "autotune:autotune 755" ]'
inside 'rm -r /run/systemd/system/autotune.service.d; systemctl daemon-reload'

# A broken spec: no second try, and everybody hears why.
write /etc/autotune/autotune.toml <<'E'
[study]
name = "broken"
sed = 7
E
refuse "a broken spec does not start" 'systemctl start autotune'
check "and stays failed with code 3" '
  [ "$(systemctl is-failed autotune)" = failed ]
  systemctl show autotune -p ExecMainStatus -p NRestarts | sort | tr "\n" " " | grep -x "ExecMainStatus=3 NRestarts=0 "'
check "systemctl status has the checker's words" 'systemctl status autotune | grep "seed"'
eventually "OnFailure= says so in the journal" 10 '
  journalctl -t autotune -p err -o cat | grep -x "autotune.service has failed and is not started again.*"'
