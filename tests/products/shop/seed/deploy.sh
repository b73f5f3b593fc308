# Fills the shop with its first products. May run any number of times.
. ./catalogue.sh

if [ -z "$REMIT_INPUT_PASSWORD" ]; then
    echo "the database gave no password" >&2
    exit 70
fi

echo "seeding through $REMIT_INPUT_DATABASE"
mkdir -p "$REMIT_INPUT_SITE_DIR"
wanted > "$catalogue.new"
mv "$catalogue.new" "$catalogue"

count=$(wc -l < products.txt)
echo "seeded $count products"
printf '{"products": %d, "catalogue": "%s"}\n' "$count" "$(basename "$catalogue")" > "$REMIT_OUTPUTS_FILE"
