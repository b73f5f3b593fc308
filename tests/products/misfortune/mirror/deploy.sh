# Copies events into the bucket. The network gives way twice; exit 75 says: try again later.
set -eu
tries=$(($(cat "$REMIT_STATE_DIR/tries" 2>/dev/null || echo 0) + 1))
echo "$tries" > "$REMIT_STATE_DIR/tries"

echo "mirroring into $REMIT_INPUT_BUCKET, try $tries"
if [ "$tries" -le 2 ]; then
    echo "curl: (56) Recv failure: Connection reset by peer" >&2
    exit 75
fi

mkdir -p "$REMIT_INPUT_SITE_DIR"
echo "mirrored after $tries tries" > "$REMIT_INPUT_SITE_DIR/mirror.txt"
printf '{"tries": %d}\n' "$tries" > "$REMIT_OUTPUTS_FILE"
