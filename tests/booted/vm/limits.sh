# Limits, out of memory, and every way in which a daemon can be ended.
bash "$HERE/limits.sh" "$MACHINE" "$HANG" | sed -u 's/^ok     /ok: /; s/^not ok /not ok: /' |
  while IFS= read -r line; do note "$line"; done
