# Exit 0: the catalogue is as it was seeded. Exit 2: somebody changed it.
. ./catalogue.sh

if [ ! -f "$catalogue" ]; then
    echo "the catalogue is gone"
    exit 2
fi
if ! wanted | cmp -s - "$catalogue"; then
    echo "the catalogue was changed"
    exit 2
fi
echo "the catalogue is as it was seeded"
