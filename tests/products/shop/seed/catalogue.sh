# Read by the other scripts: where the catalogue lies and what it must hold.
set -eu
catalogue="$REMIT_INPUT_SITE_DIR/catalogue.txt"

wanted() {
    echo "# $REMIT_INPUT_GREETING"
    echo "# database $REMIT_INPUT_DATABASE"
    echo "# orders   $REMIT_INPUT_QUEUE"
    cat products.txt
}
