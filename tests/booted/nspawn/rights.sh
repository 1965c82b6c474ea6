# Who may do what, with real users.

install_deb 1
quick_study
inside 'useradd member; usermod --append --groups autotune member; useradd stranger'
check "the socket is for the group" '
  systemctl start autotune
  [ "$(stat -c "%U:%G %a" /run/autotune/control.sock)" = "autotune:autotune 660" ]'
# Their primary group is another one.
check "a supplementary member of the group asks and steers" '
  [ "$(runuser -u member -- id -gn)" = member ]
  runuser -u member -- autotunectl status
  runuser -u member -- autotunectl pause
  runuser -u member -- autotunectl resume'
check "a stranger hears whom to ask" '
  said=$(runuser -u stranger -- autotunectl status 2>&1) && exit 1
  echo "$said"
  grep -q "permission denied: ask to be added to group autotune" <<<"$said"'
check "[control] lets everybody read" '
  sed -i "s/^#read = .*/read = \"all\"/" /etc/autotune/autotune.toml
  grep -q "^read = \"all\"" /etc/autotune/autotune.toml
  systemctl restart autotune
  runuser -u stranger -- autotunectl status'
check "but not steer" '
  said=$(runuser -u stranger -- autotunectl pause 2>&1) && exit 1
  echo "$said"
  grep -q "this user may not do that" <<<"$said"
  autotunectl status | grep -q "goes on"'
