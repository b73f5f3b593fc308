# Makes the role of the billing service. The customer's account does not allow it until somebody there
# puts the file billing.granted into the site directory; exit 77 says: a permission is missing.
set -eu
if [ ! -e "$REMIT_INPUT_SITE_DIR/billing.granted" ]; then
    echo "An error occurred (AccessDenied) when calling the CreateRole operation: User:" \
        "arn:aws:sts::111122223333:assumed-role/remit-runner/i-0abc1234 is not authorized to perform:" \
        "iam:CreateRole on resource: arn:aws:iam::111122223333:role/billing because no identity-based" \
        "policy allows the iam:CreateRole action" >&2
    exit 77
fi
echo "billing for $REMIT_INPUT_ROWS rows" > "$REMIT_INPUT_SITE_DIR/billing.txt"
echo '{"role": "arn:aws:iam::111122223333:role/billing"}' > "$REMIT_OUTPUTS_FILE"
