# Loads the warehouse, slowly. A lock that dies with its last process tells whether two of these ever
# ran at once; begin and end lines tell how often it ran.
set -eu
mkdir -p "$REMIT_INPUT_SITE_DIR"
journal="$REMIT_INPUT_SITE_DIR/warehouse.log"

exec 9> "$REMIT_INPUT_SITE_DIR/warehouse.lock"
if ! flock -n 9; then
    echo "overlap $REMIT_ATTEMPT" >> "$journal"
    echo "the warehouse is being loaded by somebody else" >&2
    exit 69
fi

echo "begin $REMIT_ATTEMPT" >> "$journal"
second=0
while [ "$second" -lt "$REMIT_INPUT_LOAD_SECONDS" ]; do
    second=$((second + 1))
    echo "loaded $second of $REMIT_INPUT_LOAD_SECONDS"
    sleep 1
done
echo "end $REMIT_ATTEMPT" >> "$journal"
printf '{"rows": %d}\n' $((REMIT_INPUT_LOAD_SECONDS * 1000)) > "$REMIT_OUTPUTS_FILE"
