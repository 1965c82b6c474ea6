# Limits, out of memory, and every way in which a daemon can be ended.
mkdir -p "$PACKAGES/limits"
cp "$HANG" "$(dirname "$HANG")/examples/child" "$PACKAGES/limits"
while read -r line; do
  note "$line"
done < <(bash "$HERE/limits.sh" "$MACHINE" "$PACKAGES/limits" | sed 's/^ok     /ok: /; s/^not ok /not ok: /')
