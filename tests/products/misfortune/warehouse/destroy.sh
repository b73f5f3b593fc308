# Empties the warehouse.
set -eu
rm -f "$REMIT_INPUT_SITE_DIR/warehouse.log" "$REMIT_INPUT_SITE_DIR/warehouse.lock"
