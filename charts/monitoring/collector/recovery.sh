# Puts a collector's files aside when it has ended because it cannot read them.
#
# A loss of power or a broken disk may damage them so that the collector ends at each start, even
# with the option "recreate". It then reads the kubelet's files from their beginning, and Loki drops
# the lines that it has already. Usage: recovery.sh QUEUE LOGS, the folder of the collector's files
# and that of its log, which the kubelet writes.
set -eu
queue=$1 logs=$2
interval=${INTERVAL-5}
trap 'exit 0' TERM

# What the database's code leaves in the log when it ends the process. Lines of the collector itself
# begin with a brace, so nothing that it reads or is answered can look like this.
damage='^[^ ]+ std(out|err) [FP] (go\.etcd\.io/bbolt|Error: .*(invalid database|version mismatch|checksum error|file size too small))'

is_up() {
  wget -q -O /dev/null "http://127.0.0.1:${HEALTH-13133}/"
}

put_aside() {
  mkdir -p "$queue/damaged"
  for file in "$queue"/receiver_* "$queue"/exporter_*; do
    [ -f "$file" ] || continue
    # One of each, since a queue may be large.
    mv -f "$file" "$queue/damaged/"
    echo "put aside $file: the collector has ended because it could not read its files"
  done
}

while sleep "$interval"; do
  # One log for each start, by number.
  last=$(ls "$logs" 2>/dev/null | grep -E '^[0-9]+\.log$' | sort -n | tail -n 1)
  [ -n "$last" ] || continue
  if grep -q -E "$damage" "$logs/$last" && ! is_up; then
    put_aside
  fi
done
