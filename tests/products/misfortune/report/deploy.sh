# The monthly report, under the role of the billing service.
set -eu
echo "reported as $REMIT_INPUT_ROLE" > "$REMIT_INPUT_SITE_DIR/report.txt"
