# Until the daemon says when it is ready: the unit without its notification.
inside 'mkdir -p /etc/systemd/system/autotune.service.d
  printf "[Service]\nType=exec\nWatchdogSec=0\n" >/etc/systemd/system/autotune.service.d/40-until-notify.conf
  systemctl daemon-reload'
