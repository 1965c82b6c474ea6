# Numbers for node_exporter, written from inside the service's sandbox into the
# folder that its package has.

install_deb 1
quick_study
inside 'useradd --system prometheus
  install -d -o prometheus -g prometheus /var/lib/prometheus/node-exporter
  sed -i "s|^# metrics = \(\"/var/lib/prometheus/.*\)|metrics = \1|" /etc/autotune/autotune.toml
  grep -q "^metrics = " /etc/autotune/autotune.toml
  sed -i "s/^sampler = .*/sampler = \"random\"/; s/^#sampler = .*/sampler = \"random\"/
    s/^trials = 24/trials = 5000/" /etc/autotune/autotune.toml'
FILE=/var/lib/prometheus/node-exporter/autotune.prom
warned() {
  echo "journalctl -u autotune -p warning -o cat | grep 'failed to write the metrics' | grep -q '$1'"
}

check "a study starts where the sandbox closes the folder" 'systemctl start autotune; autotunectl ping'
eventually "and the journal says why and what to do" 30 "$(warned 'ReadWritePaths=')"
check "once" '[ "$(journalctl -u autotune -o cat | grep -c "failed to write the metrics")" = 1 ]'
inside 'mkdir -p /etc/systemd/system/autotune.service.d
  printf "[Service]\nReadWritePaths=/var/lib/prometheus/node-exporter\n" \
    >/etc/systemd/system/autotune.service.d/60-metrics.conf
  systemctl daemon-reload; systemctl restart autotune'
eventually "so it does where the folder is of another user" 30 "$(warned 'Permission denied')"
# The daemon tries again by itself.
inside 'setfacl -m u:autotune:rwx /var/lib/prometheus/node-exporter'
eventually "with the right to it the file comes without a restart" 40 "grep -q 'autotune_up.* 1$' $FILE"
check "which node_exporter's user can read, and nothing lies beside it" "
  runuser -u prometheus -- cat $FILE | grep -q '^autotune_'
  [ \"\$(ls -A /var/lib/prometheus/node-exporter)\" = autotune.prom ]"
check "it says so when the service is stopped" "systemctl stop autotune
  grep -q 'autotune_up.* 0$' $FILE"
