#!/bin/bash
# Containment and limits under a real systemd, in a booted machine.
#
#   limits.sh MACHINE BIN_DIR
#
# MACHINE is a running machine of `tb` (beside this file) that may be rebooted and
# unplugged; BIN_DIR has autotuned and the examples' child. Each check is a line,
# `ok` or `not ok`; the exit code is 1 when one is not ok.
set -uo pipefail

HERE=/opt/limits        # in the machine: programs, specs, results
UNIT=limits@            # one instance a study

# --- in the machine ---------------------------------------------------------

FAILED=0
check() { # NAME COMMAND...
  local name=$1; shift
  if "$@" >/tmp/check.out 2>&1; then echo "ok     $name"
  else FAILED=1; echo "not ok $name"; tail -5 /tmp/check.out | sed 's/^/       | /'; fi
}
# A command that comes to succeed within two minutes, however slow the machine.
soon() { local end=$((SECONDS + 120)); until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done; }

journal() { echo "$HERE/out/$1/journal.jsonl"; }
is_over() { ! systemctl is-active --quiet "$UNIT$1"; }
main_pid() { systemctl show -p MainPID --value "$UNIT$1"; }
cgroup() { echo "/sys/fs/cgroup$(systemctl show -p ControlGroup --value "$UNIT$1")"; }

# The processes on record that are alive: number and start time must be the same.
alive() {
  local pid ticks stat
  while read -r pid ticks; do
    stat=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
    stat=${stat##*) }; set -- $stat
    [ "$1" = Z ] || [ "${20}" != "$ticks" ] || echo "$pid"
  done <"$1"
}
none_alive() { local left; left=$(alive "$1"); echo "alive: $left"; [ -z "$left" ]; }

spec() { # NAME LIMITS SPACE STEPS
  printf '%s\n' "[study]" "name = '$1'" "workdir = '$HERE'" "[objective]" "maximize = 'm'" \
    "[limits]" "$2" "[env]" "PIDS = '$HERE/pids-$1'" "[search]" "sampler = 'coordinate'" \
    "racing = false" "[confirm]" "runs = 0" "[space]" "$3" "$4" >"$HERE/$1.toml"
}
measure() { # COMMAND, as the elements of a list in TOML
  printf '%s\n' "[[step]]" "name = 'eval'" "kind = 'measure'" "runs = 1" "command = [$1]" "metrics.m = 'm=(\S+)'"
}
service() {
  printf '%s\n' "[[step]]" "name = 'serve'" "kind = 'service'" "stop_grace = '2s'" \
    "command = ['./child', 'serve', '--port', '7801', '--ignore-term', '--leave', '--leave-bare']" \
    "ready.http = 'http://127.0.0.1:7801/'"
}

prepare() {
  id tuner >/dev/null 2>&1 || useradd --no-create-home tuner
  mkdir -p "$HERE/out"
  chown tuner: "$HERE" "$HERE/out"
  cat >/etc/systemd/system/$UNIT.service <<U
[Service]
ExecStart=$HERE/autotuned run $HERE/%i.toml --no-socket --output-dir $HERE/out/%i
User=tuner
Delegate=yes
KillMode=mixed
Restart=on-failure
ExecStopPost=-$HERE/autotuned release
RestartSec=100ms
[Install]
WantedBy=multi-user.target
U
  systemctl daemon-reload
}

finish_study() { systemctl start "$UNIT$1"; soon is_over "$1"; }

limits_hold() {
  spec memory "memory_max = '64 MiB'" "MIB = ['8', '256']" "$(service; measure "'./child', 'run', '--hog', '{{ MIB }}', '--print', 'm=1'")"
  finish_study memory
  check "memory: the small trial is complete" grep -q '"trial":1,.*complete' "$(journal memory)"
  check "memory: the large one was killed for want of it" grep -q '"trial":2,.*"oom-killed"' "$(journal memory)"
  check "memory: its own limit is named as the cause" grep -q '"memory-limit"' "$(journal memory)"
  check "memory: nothing is left" none_alive "$HERE/pids-memory"

  spec processes "pids_max = 40" "N = ['2', '60']" "$(measure "'./child', 'run', '--crowd', '{{ N }}', '--print', 'm=1'")"
  finish_study processes
  check "processes: the small trial is complete" grep -q '"trial":1,.*complete' "$(journal processes)"
  check "processes: the limit is named as the cause" grep -q '"trial":2,.*"process-limit"' "$(journal processes)"
  check "processes: nothing is left" none_alive "$HERE/pids-processes"

  local throttled='./child run --spin 2; own=$(cut -d: -f3 /proc/self/cgroup); awk '"'"'$1 == "nr_throttled" { print "m=" $2 }'"'"' /sys/fs/cgroup${own%/*}/cpu.stat'
  spec cpus "cpus = 0.5" "N = ['1']" "$(measure "'sh', '-c', '''$throttled'''")"
  finish_study cpus
  check "cpus: the kernel holds the trial back" grep -qE '"metrics":.*"m",?:? ?[1-9]' "$(journal cpus)"

  mkdir -p /etc/systemd/system/${UNIT}above.service.d
  printf '[Service]\nMemoryMax=150M\nMemorySwapMax=0\n' >/etc/systemd/system/${UNIT}above.service.d/memory.conf
  systemctl daemon-reload
  spec above "" "MIB = ['8', '400']" "$(measure "'./child', 'run', '--hog', '{{ MIB }}', '--print', 'm=1'")"
  finish_study above
  check "a limit above: killed for want of memory" grep -q '"trial":2,.*"oom-killed"' "$(journal above)"
  check "a limit above: it is not called the trial's own" grep -q '"host-out-of-memory"' "$(journal above)"
  check "a limit above: the daemon lived on" [ "$(systemctl show -p NRestarts --value ${UNIT}above)" = 0 ]
}

# systemd-oomd watches how long programs wait for memory that is reclaimed: here
# the trial alone does, so that nothing else can be chosen.
oomd_kills() {
  dd if=/dev/zero of=/swap bs=1M count=256 status=none
  chmod 600 /swap
  mkswap -q /swap
  swapon /swap
  mkdir -p /etc/systemd/oomd.conf.d /etc/systemd/system/${UNIT}pressed.service.d
  printf '[OOM]\nDefaultMemoryPressureDurationSec=1s\n' >/etc/systemd/oomd.conf.d/soon.conf
  printf '[Service]\nManagedOOMMemoryPressure=kill\nManagedOOMMemoryPressureLimit=1%%\n' \
    >/etc/systemd/system/${UNIT}pressed.service.d/oomd.conf
  systemctl daemon-reload
  systemctl restart systemd-oomd
  spec pressed "" "MIB = ['8', '400']" "$(measure "'./child', 'run', '--gate', '$HERE/press-{{ MIB }}', '--hog', '{{ MIB }}', '--print', 'm=1'")"
  touch "$HERE/press-8"
  systemctl start ${UNIT}pressed
  check "oomd: the large trial is about to take its memory" soon test -e "$HERE/press-400.waits"
  local steps; steps=$(ls -d "$(cgroup pressed)"/autotune-*/steps)
  echo 50M >"$steps/memory.high"
  touch "$HERE/press-400"
  soon is_over pressed
  check "oomd: it was killed for want of memory" grep -q '"trial":2,.*"oom-killed"' "$(journal pressed)"
  check "oomd: it is said who did that" grep -q '"host-out-of-memory".*by systemd-oomd' "$(journal pressed)"
  check "oomd: the daemon lived on" [ "$(systemctl show -p NRestarts --value ${UNIT}pressed)" = 0 ]
  swapoff /swap
}

limits_without_delegation() {
  local run="systemd-run -q --wait --pipe -p User=tuner $HERE/autotuned"
  spec wanted "pids_max = 40" "N = ['1']" "$(measure "'echo', 'm=1'")"
  check "not delegated: check warns" sh -c "$run check $HERE/wanted.toml 2>&1 | tr '\n' ' ' | grep -q 'warning.*pids_max.*Delegate=yes'"
  check "not delegated: the study is done all the same" $run run $HERE/wanted.toml --no-socket --output-dir $HERE/out/wanted
  check "not delegated: the trial's record says so" grep -q 'pids_max' "$(journal wanted)"
  spec required "pids_max = 40
required = true" "N = ['1']" "$(measure "'echo', 'm=1'")"
  check "not delegated: what is required is an error" sh -c "$run run $HERE/required.toml --no-socket --output-dir $HERE/out/required; [ \$? = 3 ]"
  check "delegated: what is required is there" systemd-run -q --wait --pipe -p User=tuner -p Delegate=yes \
    $HERE/autotuned run $HERE/required.toml --no-socket --output-dir $HERE/out/required
}

# The study whose only run waits for a gate: its trial runs until that opens.
is_waiting() { [ -e "$HERE/gate.waits" ] && [ -s "$HERE/pids-gated" ] && systemctl is-active --quiet ${UNIT}gated; }
forget() { mv "$HERE/pids-gated" "$HERE/pids-before"; rm -f "$HERE/gate.waits"; }

kill_daemon() { # SIGNAL
  check "$1: a trial runs" soon is_waiting
  local pid; pid=$(main_pid gated)
  check "$1: its processes are on record" [ "$(alive $HERE/pids-gated | wc -l)" -ge 3 ]
  forget
  kill -"$1" "$pid"
  check "$1: the study goes on by itself" soon is_waiting
  check "$1: nothing of the old trial is alive" none_alive "$HERE/pids-before"
  check "$1: the daemon is in its leaf again" grep -qx "$(main_pid gated)" "$(cgroup gated)/autotune-daemon/cgroup.procs"
  check "$1: one trial has a cgroup" sh -c "[ \$(ls -d $(cgroup gated)/autotune-*/steps | wc -l) = 1 ]"
  check "$1: the limits are there again" sh -c "grep -qx 100 $(cgroup gated)/autotune-*/steps/pids.max"
}

killed() {
  spec gated "pids_max = 100
memory_max = '512 MiB'
required = true" "N = ['1', '2']" "$(service; measure "'./child', 'run', '--gate', '$HERE/gate', '--print', 'm=1'")"
  systemctl enable -q ${UNIT}gated
  systemctl start ${UNIT}gated
  kill_daemon KILL
  kill_daemon ABRT
  # Both at once: nobody is left who could end the trial but the service manager.
  check "both: a trial runs" soon is_waiting
  local runner; runner=$(cat "$(cgroup gated)"/autotune-*/runner/cgroup.procs)
  forget
  kill -KILL "$(main_pid gated)" $runner
  check "both: the study goes on by itself" soon is_waiting
  check "both: nothing of the old trial is alive" none_alive "$HERE/pids-before"
  # The same without a service manager that clears up.
  mkdir -p /etc/systemd/system/${UNIT}gated.service.d
  printf '[Service]\nKillMode=process\n' >/etc/systemd/system/${UNIT}gated.service.d/kill.conf
  systemctl daemon-reload
  forget
  kill -KILL "$(main_pid gated)" $(cat "$(cgroup gated)"/autotune-*/runner/cgroup.procs)
  check "KillMode=process: the study goes on by itself" soon is_waiting
  check "KillMode=process: nothing of the old trial is alive" none_alive "$HERE/pids-before"
  rm -r /etc/systemd/system/${UNIT}gated.service.d
  systemctl daemon-reload
  forget
  check "stop: it ends" systemctl stop ${UNIT}gated
  check "stop: nothing of the trial is alive" none_alive "$HERE/pids-before"
  check "stop: no cgroup is left" sh -c '! ls -d /sys/fs/cgroup/system.slice/*/limits@gated.service 2>/dev/null'
  systemctl start ${UNIT}gated
  check "start: the study goes on" soon is_waiting
}

come_back() { # WHAT
  check "$1: the study goes on by itself" soon is_waiting
  check "$1: nothing of the old trial is alive" none_alive "$HERE/pids-before"
}

# The processes of this boot are on record before the machine goes down.
go_down() { soon is_waiting; forget; sync; }

end() {
  touch "$HERE/gate"
  check "end: the study is done" soon is_over gated
  check "end: every run is there once" sh -c "[ \$(grep -c run-ended $(journal gated)) = 2 ]"
  check "end: nothing is left" none_alive "$HERE/pids-gated"
}

if [ "${1:-}" = --inside ]; then
  shift; "$@"; exit $FAILED
fi

# --- outside ----------------------------------------------------------------

[ $# = 2 ] || { sed -n '2,9p' "$0" >&2; exit 2; }
MACHINE=$1 BIN=$2 RESULT=0
tb() { TB_STDIN=0 "$(dirname "$0")/tb" "$@"; }
inside() { tb run "$MACHINE" $HERE/limits.sh --inside "$@" || RESULT=1; }
put() { "$(dirname "$0")/tb" cp "$MACHINE" "$1" "$HERE/$(basename "$1")"; }

set -e
tb run "$MACHINE" mkdir -p $HERE
put "$0"
put "$BIN/autotuned"
put "$BIN/child"
set +e
inside prepare
inside limits_hold
inside oomd_kills
inside limits_without_delegation
inside killed
inside go_down
tb reboot "$MACHINE" || RESULT=1
inside come_back reboot
inside go_down
{ tb kill "$MACHINE" && tb start "$MACHINE"; } || RESULT=1
inside come_back "power cut"
inside end
exit $RESULT
