#!/bin/sh
# The machine's end of the channel. A request is a line `RUN SECONDS SCRIPT-BYTES INPUT-BYTES` and that many bytes of each; the
# answer is a line `DONE CODE OUT-BYTES ERR-BYTES` and the bytes. CODE is `late` for a script that was ended by its time.
# When the other end is gone nobody needs this machine any more: it powers off.
set -u
umask 077
# Scripts run as an administrator's login does. As a service they would hand their files to confined programs that may not write
# them: `nft list` would say nothing.
login=
if selinuxenabled; then login='runcon unconfined_u:unconfined_r:unconfined_t:s0'; fi
exec 3<>/dev/virtio-ports/ravelin.agent
printf 'READY %s\n' "$(cat /proc/sys/kernel/random/boot_id)" >&3
while read -r word seconds script input <&3; do
  [ "$word" = RUN ] || continue
  dir=$(mktemp -d /tmp/ravelin-lab.XXXXXX)
  head -c "$script" <&3 >"$dir/script"
  head -c "$input" <&3 >"$dir/input"
  # The inner shell leaves the code in a file: where there is none, time was up. What a script starts and leaves behind keeps
  # running, without the channel.
  timeout --kill-after=2 "$seconds" $login sh -c 'umask 022; cd /root; sh "$1/script" <"$1/input" >"$1/out" 2>"$1/err" 3<&-; echo $? >"$1/code"' - "$dir"
  code=$(cat "$dir/code" 2>/dev/null || echo late)
  printf 'DONE %s %s %s\n' "$code" "$(stat -c %s "$dir/out")" "$(stat -c %s "$dir/err")" >&3
  cat "$dir/out" "$dir/err" >&3
  rm -rf "$dir"
done
systemctl --force --force poweroff
