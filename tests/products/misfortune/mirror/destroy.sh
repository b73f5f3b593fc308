# Forgets the mirror and how often it was tried.
set -eu
rm -f "$REMIT_INPUT_SITE_DIR/mirror.txt" "$REMIT_STATE_DIR/tries"
