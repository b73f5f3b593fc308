# Takes the catalogue away. May run any number of times.
. ./catalogue.sh
rm -f "$catalogue"
echo "the catalogue is removed"
