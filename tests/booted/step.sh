# step WHAT COMMAND...: one line with the time it takes; what it prints is shown
# only when it fails, and is the end then; of tests their sums are shown.
step() {
  local what=$1 begun=$SECONDS log
  shift
  log=$(mktemp)
  printf '%s  %-34s' "$(date +%T)" "$what"
  if "$@" >"$log" 2>&1 </dev/null; then
    printf 'ok       %4d s\n' $((SECONDS - begun))
    grep '^test result: ' "$log" || true
    rm "$log"
  else
    printf 'FAILED   %4d s\n' $((SECONDS - begun))
    grep -v '^test .* \.\.\. ok$' "$log" | tail -n 200
    rm "$log"
    exit 1
  fi
}
