# A study in somebody's own folder: alice's, as autotune.service under her name.

install_deb 1
inside 'useradd -m -s /bin/bash alice; chmod 700 /home/alice
  useradd -m bob; usermod -aG autotune bob
  useradd -m eve
  install -d -o alice -g alice /home/alice/study
  ls /etc/systemd/system >/root/units-before
  ls -A /etc/tmpfiles.d >/root/tmpfiles-before'
write /home/alice/study/study.toml <<'E'
[study]
name = "hers"
[objective]
maximize = "m"
[space]
N = [1, 2, 3]
[search]
sampler = "coordinate"
[confirm]
runs = 0
[control]
group = "autotune"
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["bash", "measure.sh"]
metrics.m = 'm=(\S+)'
E
write /home/alice/study/measure.sh <<'E'
id -un >>who
touch /home/alice/elsewhere && echo "writes to the whole home" >>who
echo "m=$N"
E
inside 'chown alice:alice /home/alice/study/*'
SETUP="autotuned setup --workdir /home/alice/study --spec /home/alice/study/study.toml"
UNWRITTEN='[ "$(ls /etc/systemd/system)" = "$(cat /root/units-before)" ]
  [ "$(ls -A /etc/tmpfiles.d)" = "$(cat /root/tmpfiles-before)" ]'

check "without a terminal nothing is written unasked" "
  said=\$($SETUP --user alice 2>&1) && exit 1
  grep -q '^+User=alice' <<<\"\$said\"
  grep -q -e '--yes' <<<\"\$said\"
  $UNWRITTEN"
check "a folder that the user cannot reach is named, and nothing is kept" "
  said=\$($SETUP --yes 2>&1) && exit 1
  echo \"\$said\"
  grep -q 'autotune cannot reach /home/alice/study: /home/alice (of alice, mode 0700) is closed' <<<\"\$said\"
  grep -q -e '--user alice' <<<\"\$said\"
  grep -q 'Nothing of it was kept' <<<\"\$said\"
  $UNWRITTEN"
check "neither is what names a folder or a user that is not there" "
  said=\$(autotuned setup --workdir /home/alice/nowhere --user alice --yes 2>&1) && exit 1
  grep -q '/home/alice/nowhere cannot be' <<<\"\$said\"
  said=\$($SETUP --user nobody-here --yes 2>&1) && exit 1
  grep -q 'there is no user .nobody-here' <<<\"\$said\"
  $UNWRITTEN"
check "one command sets it up" "
  said=\$($SETUP --user alice --yes 2>&1) || { echo \"\$said\"; exit 1; }
  echo \"\$said\"
  grep -q '^ok .*folder: alice can write to /home/alice/study' <<<\"\$said\"
  grep -q 'systemctl start autotune' <<<\"\$said\""
check "and starts nothing" '[ "$(systemctl is-active autotune)" = inactive ]
  [ ! -e /home/alice/study/who ]
  [ ! -e /run/systemd/system/autotune-setup.service ]
  [ "$(systemctl show autotune-setup -p LoadState --value)" = not-found ]'
check "systemd-analyze verify has nothing to say" '
  said=$(systemd-analyze verify autotune.service 2>&1); echo "$said"; [ -z "$said" ]'
check "a second time it is so already" "$SETUP --user alice --yes | grep -q 'is so already'"

check "the service runs as alice" 'systemctl start autotune
  autotunectl wait --for done --timeout 60s
  [ "$(sort -u /home/alice/study/who)" = alice ]
  [ "$(stat -c %U:%G /home/alice/study/who)" = alice:alice ]
  [ ! -e /home/alice/elsewhere ]'
check "her results are hers" '
  [ "$(stat -c %U:%G:%a /var/lib/autotune-alice)" = alice:alice:750 ]
  runuser -u alice -- autotuned view /var/lib/autotune-alice/hers | grep -q "Trial 3: m 3"'
check "a member of the group steers it" 'runuser -u bob -- autotunectl status | grep -q done
  runuser -u bob -- autotunectl set budget.trials=9'
check "somebody else does not" '
  said=$(runuser -u eve -- autotunectl status 2>&1) && exit 1
  grep -q "group autotune" <<<"$said"'
refuse "it is not changed while it works" "$SETUP --user alice --write /home/alice --yes"
check "SIGHUP reads her spec again" '
  sed -i "s/N = .*/N = [1, 2, 3, 4]/" /home/alice/study/study.toml
  systemctl kill -s HUP autotune
  until [ "$(wc -l </home/alice/study/who)" = 4 ]; do sleep 0.1; done
  journalctl -u autotune -o cat | grep -x "the spec was read again"'
check "a spec with a mistake changes nothing" '
  echo nonsense >>/home/alice/study/study.toml
  kill -HUP "$(systemctl show autotune -p MainPID --value)"'
eventually "the journal says why" 20 '
  journalctl -u autotune -p warning -o cat | grep -q "study.toml:[0-9]*:[0-9]*"
  journalctl -u autotune -p warning -o cat | grep -q "keeping the old spec"'
check "the study is none the worse" 'sed -i "\$d" /home/alice/study/study.toml
  autotunectl status | grep -q done'

install_deb 2
check "an upgrade leaves her in" 'autotunectl wait --for done --timeout 60s
  systemctl stop autotune; rm -f /run/autotune/control.sock*; systemctl start autotune; autotunectl ping'
check "so does a new /run, as after a reboot" 'systemctl stop autotune
  rm -r /run/autotune; systemd-tmpfiles --create; systemctl start autotune; autotunectl ping'

refuse "it is not taken back while it works" 'autotuned setup --remove --yes'
check "--remove brings the old state back" "systemctl stop autotune
  autotuned setup --remove --yes | grep -q 'stay in /var/lib/autotune-alice'
  $UNWRITTEN
  [ -z \"\$(getfacl -p /run/autotune | grep alice)\" ]
  [ \"\$(stat -c '%U:%G %a' /run/autotune)\" = 'autotune:autotune 755' ]
  [ -e /var/lib/autotune-alice/hers/journal.jsonl ]"
quick_study
check "and the service is that of the package again" 'systemctl start autotune
  autotunectl status | grep -q demo
  [ "$(ps -o user= -p "$(systemctl show autotune -p MainPID --value)")" = autotune ]
  systemctl stop autotune'
check "a second time there is nothing to take back" 'autotuned setup --remove --yes | grep -q "nothing of setup"'
check "a file of somebody else is left" '
  file=/etc/systemd/system/autotune.service.d/50-setup.conf; echo "[Service]" >$file
  autotuned setup --remove --yes && exit 1
  [ "$(cat $file)" = "[Service]" ]; rm $file'

# Every letter that means something to systemd or to a shell; as an instance.
ODD='odd="/home/alice/a \"50%h\" \\ \$HOME; #1"'
inside "$ODD"'
  cp -a /home/alice/study "$odd"; sed -i "s/hers/odd/" "$odd/study.toml"; rm "$odd/who"'
check "an odd name is no trouble" "$ODD"'
  autotuned setup -i odd --user alice --yes --workdir "$odd" --spec "$odd/study.toml"
  systemctl start autotune@odd
  autotunectl -i odd wait --for done --timeout 60s
  [ "$(sort -u "$odd/who")" = alice ]
  systemctl stop autotune@odd
  autotuned setup -i odd --remove --yes'

# What a user of the service may get wrong.
check "a state folder of somebody else is named, with the way out" '
  chown -R root:root /var/lib/autotune/demo; chmod 700 /var/lib/autotune/demo
  systemctl start autotune && exit 1
  systemctl show autotune -p ExecMainStatus -p NRestarts | sort | tr "\n" " " | grep -x "ExecMainStatus=4 NRestarts=0 "
  said=$(systemctl status autotune --no-pager -l || true); echo "$said"
  grep -q "belongs to root" <<<"$said"
  grep -q "chown -R autotune /var/lib/autotune/demo" <<<"$said"'
check "and that mends it" 'chown -R autotune /var/lib/autotune/demo; systemctl start autotune; systemctl stop autotune'
check "without certificates of authorities it works" '
  rm -rf /etc/ssl/certs /usr/share/ca-certificates /etc/ca-certificates*
  systemctl start autotune; autotunectl ping'
