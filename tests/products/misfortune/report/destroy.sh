# Removes the report.
set -eu
rm -f "$REMIT_INPUT_SITE_DIR/report.txt"
