# Names what a destroy has left; prints nothing when all is gone.
. ./catalogue.sh
if [ -e "$catalogue" ]; then echo "$catalogue"; fi
