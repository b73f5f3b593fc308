# Removes the role. The grant is the customer's own and stays.
set -eu
rm -f "$REMIT_INPUT_SITE_DIR/billing.txt"
