add() { echo $(($1 + $2)); }
double() { echo $((3 * $1)); }
