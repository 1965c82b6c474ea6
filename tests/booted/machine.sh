# Runs one test, a script, on a machine of its own: KIND, SUITE and so on come
# from `run`. The script uses the functions below; a check that fails is noted,
# and the script goes on.
set -euo pipefail
shopt -s inherit_errexit

MACHINE=test-$$

# guest CMD...: runs it in the machine, with this standard input.
guest() { "$HERE/tb" run "$MACHINE" "$@"; }
# inside SCRIPT: a script for bash, with nothing to read.
inside() { guest bash -euc "$1" </dev/null; }
# push FILE PLACE: copies a file in, and makes its folder.
push() {
  inside "mkdir -p '$(dirname "$2")'"
  "$HERE/tb" cp "$MACHINE" "$1" "$2"
}
# write PLACE: a file from the standard input.
write() { guest sh -c 'mkdir -p "$(dirname "$1")" && cat >"$1"' _ "$1"; }

# RESULTS gets a line for each check, and what was said where one failed.
note() { echo "$1" | tee -a "$RESULTS"; }
# check WHAT SCRIPT: whether the script succeeds in the machine.
check() {
  local said
  if said=$(inside "$2" 2>&1); then
    note "ok: $1"
  else
    note "not ok: $1
$(sed 's/^/    | /' <<<"$said" | tail -20)"
    BAD=1
  fi
}
# refuse WHAT SCRIPT: whether it fails.
refuse() { check "$1" "if ( $2 ); then echo 'that should have failed'; exit 1; fi"; }
# eventually WHAT SECONDS SCRIPT: whether it succeeds in time. Every try is a
# shell of its own.
eventually() {
  local quoted
  quoted=$(printf %q "$3")
  check "$1" "end=\$((\$(date +%s) + $2))
    until said=\$(bash -euc $quoted 2>&1); do
      [ \$(date +%s) -lt \$end ] || { echo \"not after $2 s: \$said\"; exit 1; }
      sleep 0.2
    done"
}

# The packages' names, with everything that a shell would take literally.
deb() { echo "$PACKAGES"/autotune_*-"$1"_*.deb; }
rpm() { echo "$PACKAGES"/autotune-*-"$1".*.rpm; }
# install_deb REVISION
install_deb() {
  push "$(deb "$1")" "/root/autotune-$1.deb"
  check "apt installs revision $1" "export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -o Dpkg::Options::=--force-confdef /root/autotune-$1.deb"
}

# quick_study [VECTORS QUERIES]: the shipped study, with a data set that takes
# seconds and with time limits for a slow machine.
quick_study() {
  inside "mkdir -p /etc/systemd/system/autotune.service.d
    printf '[Service]\nEnvironment=DEMO_VECTORS=${1:-4000} DEMO_QUERIES=${2:-200}\n' \
      >/etc/systemd/system/autotune.service.d/50-quick.conf
    sed -i 's/^timeout = \"30s\"/timeout = \"10m\"/' /etc/autotune/autotune.toml
    systemctl daemon-reload"
}

BAD=''
"$HERE/tb" up "$KIND" "$MACHINE" "$SUITE"
end() {
  if [ -n "${KEEP:-}" ] && [ -n "$BAD" ]; then
    echo "the machine is left: tests/booted/tb run $MACHINE bash"
  else
    TB_FAST=1 "$HERE/tb" down "$MACHINE" || true
  fi
}
trap end EXIT
# shellcheck source=/dev/null
. "$1"
